from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="none")
vectors = client.embeddings.create(model="builtin", input=["Refunds take ten days."])
