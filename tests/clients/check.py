"""Asks a server as the clients of other servers do: python3 tests/clients/check.py URL

Each client is that of its own package; requirements.txt has their versions. Every answer must be as the client's own types
have it, and the right document the first. A client that is not installed is named and left out.
"""

import importlib.util
import math
import os
import pathlib
import sys

# Nobody else is asked.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
QUERY = "When do I get my refund?"
DOCUMENTS = ["We ship on Mondays.", "Refunds are paid within ten days.", "Our office has a garden."]
FIRST = 1


def length(vector):
    return math.sqrt(sum(value * value for value in vector))


def check_vectors(vectors, count):
    assert len(vectors) == count and all(abs(length(vector) - 1) < 1e-4 for vector in vectors), vectors


def check_order(order):
    assert order[0] == FIRST, order


def example(name, url):
    """Runs an example of the documentation against this server."""
    text = (ROOT / "examples/clients" / name).read_text(encoding="utf-8").replace("http://127.0.0.1:8080", url)
    names = {}
    exec(compile(text, name, "exec"), names)
    return names


def openai(url):
    names = example("openai_client.py", url)
    check_vectors([one.embedding for one in names["vectors"].data], 1)
    client = names["client"]
    # The client asks for base64 unless told otherwise, and decodes it.
    plain = client.embeddings.create(model="builtin", input=DOCUMENTS, encoding_format="float")
    coded = client.embeddings.create(model="builtin", input=DOCUMENTS)
    for one, other in zip(plain.data, coded.data):
        assert max(abs(a - b) for a, b in zip(one.embedding, other.embedding)) < 1e-6
    assert [model.id for model in client.models.list()] == ["builtin"]
    assert plain.usage.total_tokens > 0
    import openai as package

    for asked, error in (({"input": [1, 2]}, package.BadRequestError), ({"input": "x", "model": "gpt"}, package.NotFoundError)):
        try:
            client.embeddings.create(**{"model": "builtin", **asked})
        except error as told:
            assert told.body["message"], told
        else:
            raise AssertionError(f"{asked} is not refused")


def langchain_openai(url):
    embeddings = example("langchain_client.py", url)["embeddings"]
    check_vectors(embeddings.embed_documents(DOCUMENTS), 3)
    check_vectors([embeddings.embed_query(QUERY)], 1)
    from langchain_openai import OpenAIEmbeddings

    tokens = OpenAIEmbeddings(base_url=f"{url}/v1", api_key="none", model="builtin")
    try:
        tokens.embed_query(QUERY)
    except Exception as told:  # The tokenizer of another model may not be there either.
        assert "check_embedding_ctx_length" in str(told) or "tiktoken" in repr(told) or "onnect" in repr(told), repr(told)


def cohere(url):
    import cohere as package

    answer = example("cohere_client.py", url)["answer"]
    assert [result.index for result in answer.results][0] == 0
    for client in (package.Client(base_url=url, api_key="none"), package.ClientV2(base_url=url, api_key="none")):
        answer = client.rerank(model="builtin", query=QUERY, documents=DOCUMENTS, top_n=2)
        check_order([result.index for result in answer.results])
        assert len(answer.results) == 2 and answer.results[0].relevance_score > answer.results[1].relevance_score
        assert answer.meta.billed_units.search_units == 1


def litellm(url):
    import litellm as package

    for model in ("hosted_vllm/builtin", "huggingface/builtin"):
        answer = package.rerank(
            model=model, query=QUERY, documents=DOCUMENTS, top_n=3, return_documents=True, api_base=url, api_key="none"
        )
        check_order([result["index"] for result in answer.results])
        assert len(answer.results) == 3, answer
    answer = package.embedding(model="openai/builtin", input=DOCUMENTS, api_base=f"{url}/v1", api_key="none")
    check_vectors([one["embedding"] for one in answer.data], 3)


def llama_index(url):
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    nodes = [NodeWithScore(node=TextNode(text=text), score=0.1) for text in DOCUMENTS]
    ranker = TextEmbeddingInference(base_url=url, model_name="builtin", top_n=3)
    ranked = ranker.postprocess_nodes(nodes, query_bundle=QueryBundle(QUERY))
    check_order([DOCUMENTS.index(node.node.get_content()) for node in ranked])


def haystack(url):
    from haystack import Document
    from haystack.components.rankers import HuggingFaceTEIRanker

    ranker = HuggingFaceTEIRanker(url=url, top_k=2)
    ranked = ranker.run(query=QUERY, documents=[Document(content=text) for text in DOCUMENTS])["documents"]
    check_order([DOCUMENTS.index(document.content) for document in ranked])
    assert len(ranked) == 2


CLIENTS = {
    "openai": openai,
    "langchain_openai": langchain_openai,
    "cohere": cohere,
    "litellm": litellm,
    "llama_index.postprocessor.tei_rerank": llama_index,
    "haystack": haystack,
}


def is_installed(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def main():
    url = sys.argv[1]
    missing = [name for name in CLIENTS if not is_installed(name)]
    for name, check in CLIENTS.items():
        if name not in missing:
            check(url)
            print(f"{name}: ok")
    if missing:
        print(f"missing: {', '.join(missing)}")
        sys.exit(77)


main()
