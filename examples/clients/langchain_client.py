from langchain_openai import OpenAIEmbeddings

# Without the last argument LangChain sends tokens of another model, which are refused.
embeddings = OpenAIEmbeddings(
    base_url="http://127.0.0.1:8080/v1", api_key="none", model="builtin", check_embedding_ctx_length=False
)
