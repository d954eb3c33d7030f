#!/usr/bin/env python3
"""Makes the documents of this folder again; the .txt files beside them are what mailsort should read.

Needs LibreOffice Writer (soffice), WeasyPrint, and fonts with Latin and Chinese letters, such as DejaVu and Noto CJK.
"""

import pathlib
import subprocess
import zipfile

HERE = pathlib.Path(__file__).parent
NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
PARTS = {"header1": "header", "footer1": "footer", "footnotes": "footnotes", "numbering": "numbering"}
NUMBERING = (
    '<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="bullet"/>'
    '<w:lvlText w:val="•"/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
)


def run(text, properties=""):
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(content, properties=""):
    if not content.startswith("<"):
        content = run(content)
    return f"<w:p><w:pPr>{properties}</w:pPr>{content}</w:p>"


def heading(text):
    return paragraph(run(text, '<w:b/><w:sz w:val="32"/>'), '<w:pStyle w:val="Heading1"/>')


def item(text):
    return paragraph(text, '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>')


def table(rows):
    cell = lambda text: f'<w:tc><w:tcPr><w:tcW w:w="3000" w:type="dxa"/></w:tcPr>{paragraph(text)}</w:tc>'
    grid = "".join('<w:gridCol w:w="3000"/>' for _ in rows[0])
    body = "".join(f'<w:tr>{"".join(map(cell, row))}</w:tr>' for row in rows)
    borders = "".join(f'<w:{side} w:val="single"/>' for side in ("top", "left", "bottom", "right", "insideH", "insideV"))
    return f"<w:tbl><w:tblPr><w:tblBorders>{borders}</w:tblBorders></w:tblPr><w:tblGrid>{grid}</w:tblGrid>{body}</w:tbl>"


def tracked(kind, text):
    tag = "delText" if kind == "del" else "t"
    return f'<w:{kind} w:id="7" w:author="A" w:date="2024-05-01T00:00:00Z"><w:r><w:{tag} xml:space="preserve">{text}</w:{tag}></w:r></w:{kind}>'


def text_box(text):
    """A box as Word writes it: once for programs that know it, once more for those that do not."""
    inner = f"<w:txbxContent>{paragraph(text)}</w:txbxContent>"
    return (
        f'<w:r><mc:AlternateContent><mc:Choice Requires="wps"><wps:wsp><wps:txbx>{inner}</wps:txbx></wps:wsp></mc:Choice>'
        f"<mc:Fallback><w:pict><v:textbox>{inner}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )


def docx(name, title, body, **parts):
    parts = {"numbering": NUMBERING} | parts
    roots = {"header1": "hdr", "footer1": "ftr", "footnotes": "footnotes", "numbering": "numbering"}
    references = "".join(
        f'<w:{part[:6]}Reference w:type="default" r:id="{part}"/>' for part in ("header1", "footer1") if part in parts
    )
    relations = "".join(f'<Relationship Id="{p}" Type="{TYPE}{PARTS[p]}" Target="{p}.xml"/>' for p in parts)
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml."
    overrides = "".join(f'<Override PartName="/word/{p}.xml" ContentType="{main}{PARTS[p]}+xml"/>' for p in parts)
    wrap = "http://schemas.openxmlformats.org/package/2006/"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{wrap}content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="{main}document.main+xml"/>{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{wrap}relationships"><Relationship Id="d" Type="{TYPE}officeDocument" Target="word/document.xml"/>'
        f'<Relationship Id="c" Type="{wrap}relationships/metadata/core-properties" Target="docProps/core.xml"/></Relationships>',
        "docProps/core.xml": f'<cp:coreProperties xmlns:cp="{wrap}metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title>{title}</dc:title><dc:creator>A. Writer</dc:creator></cp:coreProperties>",
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{wrap}relationships">{relations}</Relationships>',
        "word/document.xml": f"<w:document {NAMESPACES}><w:body>{body}<w:sectPr>{references}</w:sectPr></w:body></w:document>",
    }
    files |= {f"word/{p}.xml": f"<w:{roots[p]} {NAMESPACES}>{content}</w:{roots[p]}>" for p, content in parts.items()}
    with zipfile.ZipFile(HERE / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), XML + content, zipfile.ZIP_DEFLATED)


def footnotes(text):
    line = '<w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
    return f'{line}<w:footnote w:id="2">{paragraph(text)}</w:footnote>'


NOTE = '<w:r><w:footnoteReference w:id="2"/></w:r>'
FIELD = (
    '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> MERGEFIELD Date </w:instrText></w:r>'
    '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>3 May 2024</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>'
)


def contract():
    body = (
        heading("Service agreement")
        + paragraph(run("Harbour Mills &amp; Sons hires Quayside Cleaning from ") + FIELD + run(" on.") + NOTE)
        + paragraph(run("The fee is ") + tracked("del", "nine hundred") + tracked("ins", "eight hundred") + run(" pounds a month."))
        + paragraph(run("Draft 3, do not send. ", "<w:vanish/>") + run("Either side may end this agreement with two months’ no") + "<w:r><w:softHyphen/></w:r>" + run("tice."))
        + paragraph("This agreement and any attachments are confidential. Disclosure to others is prohibited.")
        + item("offices on three floors")
        + item("windows, twice a year")
        + table([["Work", "When", "Price"], ["Floors", "weekly", "£520"], ["Windows", "April, October", "£280"]])
        + paragraph(text_box("Keys are kept at the gate.") + run("Signed in Hull."))
    )
    docx(
        "contract.docx", "Cleaning contract", body,
        header1=paragraph("Quayside Cleaning Ltd"), footer1=paragraph("Company no. 0451 2298"),
        footnotes=footnotes("The date of the first visit."),
    )


def letter():
    body = (
        heading("Kündigung des Mietvertrags")
        + paragraph("Sehr geehrte Frau Größmann,")
        + paragraph("hiermit kündigen wir den Mietvertrag über die Wohnung in der Schloßstraße 14 fristgerecht zum 30. September. "
                    "Bitte bestätigen Sie uns den Eingang und nennen Sie einen Termin für die Übergabe der Schlüssel.")
        + table([["Zähler", "Stand"], ["Strom", "48213 kWh"], ["Wasser", "612 m³"]])
        + paragraph("Die Kaution überweisen Sie bitte auf das bekannte Konto.")
        + paragraph("Mit freundlichen Grüßen")
        + paragraph("Jörg und Änne Öhlschläger")
    )
    docx("kuendigung.docx", "Kündigung", body)


def notice():
    font = '<w:rFonts w:ascii="Noto Sans CJK SC" w:eastAsia="Noto Sans CJK SC" w:hAnsi="Noto Sans CJK SC"/>'
    lines = [
        "设备采购通知",
        "各部门：公司计划于下月采购三台打印机和十二台笔记本电脑，请在本周五之前把需求表交到行政部。",
        "超过预算的申请需要部门经理签字。供应商的报价单将在下周一公布，届时请核对型号、数量和交货日期。",
    ]
    docx("通知.docx", "采购通知", "".join(paragraph(run(line, font)) for line in lines))


REPORT = """<html lang="de"><head><meta charset="utf-8"><title>Jahresbericht</title><style>
body { font-family: "DejaVu Serif"; font-size: 10pt } .columns { columns: 2 } p { hyphens: auto; text-align: justify }
</style></head><body><h1>Jahresbericht der Genossenschaft</h1><div class="columns">
<p>Die Wohnungsbaugenossenschaft Sonnenhang hat im vergangenen Geschäftsjahr zweiundvierzig Wohnungen fertiggestellt
und die Finanzierung für den nächsten Bauabschnitt gesichert.</p>
<p>Im Mittelpunkt der Instandhaltung standen die Heizungsanlagen: Fünf Gebäude wurden an das Fernwärmenetz
angeschlossen, wodurch der Gasverbrauch um ein Drittel gesunken ist.</p>
<p>Die Mitgliederversammlung findet am vierzehnten Juni im Gemeindezentrum statt. Anträge zur Tagesordnung sind
schriftlich bis zum ersten Juni bei der Geschäftsstelle einzureichen.</p></div></body></html>"""


def main():
    contract()
    letter()
    notice()
    for name in ("contract", "kuendigung", "通知"):
        subprocess.run(["soffice", "--headless", "--convert-to", "pdf", "--outdir", HERE, HERE / f"{name}.docx"], check=True)
    subprocess.run(["weasyprint", "-", HERE / "bericht.pdf"], input=REPORT.encode(), check=True)


if __name__ == "__main__":
    main()
