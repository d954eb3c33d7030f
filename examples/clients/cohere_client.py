import cohere

client = cohere.ClientV2(base_url="http://127.0.0.1:8080", api_key="none")
answer = client.rerank(model="builtin", query="When is my refund?", documents=["Refunds take ten days.", "We ship on Mondays."])
