"""The made-up mail that the tiny tokenizers learn from, and the texts that the goldens are computed for."""

PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
DEFAULT_INSTRUCT = "Given a web search query, retrieve relevant passages that answer the query"
TEMPLATE_TEXT = [
    "system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".',
    "user\n<Instruct>: " + DEFAULT_INSTRUCT + "\n<Query>: yes\n<Document>: no",
    "assistant\n\n\n",
    "Instruct: " + DEFAULT_INSTRUCT + "\nQuery: is it yes or no? yes, no. yes\nno\nyes\n\nno",
]


def body(instruct, query, document):
    return f"<Instruct>: {instruct}\n<Query>: {query}\n<Document>: {document}"


MAILS = [
    "Dear customer, your invoice 2024-0815 over 119.00 EUR is due on 1 May. Please pay by bank transfer.",
    "Hi Anna, can we move the meeting from Tuesday to Thursday at 10:30? Room 4 is free, agenda below.",
    "Sehr geehrte Damen und Herren, hiermit kündige ich meinen Vertrag zum nächstmöglichen Zeitpunkt. Grüße, Jörg "
    "Müller",
    "您好，您的订单已经发货，快递单号 88123。请注意查收，谢谢！",
    "Здравствуйте! Сервер базы данных не отвечает с 3 часов ночи, проверьте пожалуйста.",
    "Bonjour, l'hôtel à Genève est réservé du 3 au 7 août ; voici l'itinéraire et les billets de train.",
    "お世話になっております。請求書を添付いたしますので、ご確認ください。",
    "SALE!!! 50% off today only 🎉🎉 buy now, don't wait, we'll ship it for free",
    "Backup of /var/lib failed: no space left on device (error 28). It's the third time this week.",
    "Liebe Oma, den Kindern geht es gut, der Garten blüht und wir freuen uns auf die Ferien.",
]
LABELS = [
    "invoice: invoice or bill, amount due, please pay by",
    "meeting: invitation to a meeting: time, place, room, agenda",
    "Kündigung: ein Vertrag wird gekündigt",
    "发货通知：订单、快递、物流",
    "system alert: backup failed, no disk space, database down",
    "advertising",
    "личное: письмо от семьи или друзей",
    "🎉 party & fun :-)",
    "1234567890",
    "...!?",
    "- a list item\n- another one",
    "it's what they've said, we'll see",
]
INSTRUCTS = [
    DEFAULT_INSTRUCT,
    "Given an e-mail, decide whether the label describes it",
    "Entscheide, ob das Etikett zu dieser Nachricht passt",
    "判断该标签是否符合这封邮件",
]
# What trips tokenizers: accents apart from their letters, characters of four bytes, runs of blanks, a word that looks
# like an added token, nothing at all. (A text that holds an added token verbatim is cut there by the tokenizer, as
# the released one does; what mailsort makes of that is its own tests' business.)
ODD_TEXTS = [
    "Cafe\u0301 re\u0301serve\u0301 a\u0300 No\u0308rdlingen",
    "👩‍👩‍👧‍👦 family 🇨🇭 12,345.67 ½ ④",
    "a  b   c\t\td \n\n\n e\r\nf   ",
    "< think > <|im_ start|> </ think> <|endoftext |>",
    "שלום עולם، مرحبا بالعالم नमस्ते",
    "x",
    "",
    "yes no yes no",
]
LONG_MAIL = " ".join(MAILS) + "\n\n" + "\n".join(reversed(MAILS))
# Documents that differ in their words and, as `qwen3.py` checks, not in how many tokens they have.
EQUAL_LABELS = ["yes", "no", "pay", "bank"]
TRAINING = TEMPLATE_TEXT * 4 + MAILS * 2 + LABELS + INSTRUCTS

TASK = "Given an e-mail, retrieve the label that describes it"
EMBEDDED_QUERIES = MAILS[:8] + ODD_TEXTS
EMBEDDED_DOCUMENTS = LABELS
