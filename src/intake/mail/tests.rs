//! Mails from their bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn check(raw: &[u8]) -> Mail {
    parse(raw, &Switches::default(), &BTreeSet::new()).unwrap()
}

#[test]
fn blank_lines_may_precede_headers() {
    for start in ["\n", "\r\n\r\n", " \n"] {
        let mail = check(format!("{start}From: a@b.org\nSubject: invoice\n\nPlease pay.\n").as_bytes());
        assert_eq!(mail.envelope.subject.as_deref(), Some("invoice"), "{start:?}");
        assert_eq!(mail.body.trim(), "Please pay.");
    }
    assert_eq!(check(b"\nSubject: invoice\nPlease pay.\n").envelope.subject, None);
}

#[test]
fn a_body_without_a_blank_line_above_it_is_read() {
    for (raw, body) in [
        ("Subject: x\nFrom: a@b.org\nPlease pay the bill.\nThanks\n", "Please pay the bill.\nThanks"),
        ("\n  Subject: x\nPlease pay.\nThanks\n", "Subject: x\n\nPlease pay.\nThanks"),
        ("Subject: x\nPlease pay.\n\nNote: by Monday\n", "Please pay.\n\nNote: by Monday"),
        ("\n\nSubject: x\nFrom: a@b.org\nPlease pay.\n", "Please pay."),
        ("Subject: x\n folded\nnonsense\nFrom: a@b.org\nTo: c@d.org\n\nPlease pay.\n", "Please pay."),
    ] {
        assert_eq!(check(raw.as_bytes()).body.trim(), body, "{raw:?}");
    }
}

#[test]
fn a_charset_that_makes_no_words_of_the_bytes_is_not_believed() {
    let gbk = encoding_rs::GBK.encode("请尽快付款，发票已经寄出。").0.into_owned();
    for declared in ["iso-8859-1", "windows-1252", "us-ascii", "big5", "euc-kr"] {
        let head = format!("Subject: x\nContent-Type: text/plain; charset={declared}\n\n");
        let mail = check(&[head.as_bytes(), &gbk].concat());
        assert_eq!(mail.body.trim(), "请尽快付款，发票已经寄出。", "{declared}");
    }
    let latin =
        "Über die Größe: naïve Fälle, öfter Äpfel, ÄÖÜ, «café», 5 °C, §3".chars().map(|c| c as u8).collect::<Vec<u8>>();
    let mail = check(&[&b"Subject: x\nContent-Type: text/plain; charset=iso-8859-1\n\n"[..], &latin].concat());
    assert!(mail.body.starts_with("Über die Größe: naïve") && mail.doubt.is_none(), "{}", mail.body);
    let subject = [&b"Subject: "[..], &gbk, b"\nContent-Type: text/plain; charset=gb2312\n\nok\n"].concat();
    assert_eq!(check(&subject).envelope.subject.as_deref(), Some("请尽快付款，发票已经寄出。"));
}

#[test]
fn headers_are_decoded_and_folded() {
    let mail = check(
        b"Message-ID: <a@b>\r\nSubject: =?gb2312?B?u+HS6c2o1qo=?=\r\n =?utf-8?q?_caf=C3=A9?=\r\n\
          From: =?iso-8859-1?q?J=F6rg?= <j@example.org>\r\nDate: Mon, 1 Jan 2024 10:00:00 +0100\r\n\
          List-Id: Users <users.example.org>\r\n\r\nhi\r\n",
    );
    assert_eq!(mail.envelope.id.as_deref(), Some("<a@b>"));
    assert_eq!(mail.envelope.subject.as_deref(), Some("会议通知 café"));
    assert_eq!(mail.envelope.from.as_deref(), Some("Jörg <j@example.org>"));
    assert_eq!(mail.envelope.date.as_deref(), Some("2024-01-01T10:00:00+01:00"));
    assert_eq!(mail.envelope.list_id.as_deref(), Some("users.example.org"));
    assert_eq!(mail.body.trim(), "hi");
}

#[test]
fn headers_that_are_cut_off_are_read() {
    for mail in [&b"Subject: pay the invoice"[..], b"To: x\r\nSubject: pay the invoice"] {
        assert_eq!(check(mail).envelope.subject.as_deref(), Some("pay the invoice"));
    }
}

#[test]
fn undeclared_charsets_are_guessed() {
    let russian = encoding_rs::KOI8_U.encode("Добрый день, высылаю счёт на оплату за октябрь").0;
    let raw = [b"Subject: ".as_slice(), &russian, b"\n\n", &russian, b"\n"].concat();
    let mail = check(&raw);
    assert_eq!(mail.envelope.subject.as_deref(), Some("Добрый день, высылаю счёт на оплату за октябрь"));
    assert!(mail.body.starts_with("Добрый день"), "{}", mail.body);
    let wrong = [b"Subject: x\nContent-Type: text/plain; charset=utf-8\n\n".as_slice(), &russian].concat();
    assert!(check(&wrong).body.starts_with("Добрый день"));
    let ascii = "Subject: x\nContent-Type: text/plain; charset=us-ascii\n\nGrüße aus Köln\n";
    assert_eq!(check(ascii.as_bytes()).body.trim(), "Grüße aus Köln");
}

#[test]
fn every_charset_that_can_be_written_is_read() {
    // The labels of the Encoding Standard, each with words that its charset has; UTF-16 cannot be written by
    // encoding_rs, `replacement` and `x-user-defined` hold no text.
    let western = "Grüße, café";
    let (polish, russian, greek) = ("Zażółć gęślą", "Добрый день", "Καλημέρα");
    let (hebrew, arabic, turkish, baltic) = ("שלום", "مرحبا", "Iğdır şeker", "Ąžuolas ėda");
    let (thai, chinese, japanese, korean) = ("สวัสดี", "会议通知", "会議のお知らせ", "회의 안내");
    for (label, words) in [
        ("utf-8", western),
        ("windows-1252", western),
        ("iso-8859-15", western),
        ("macintosh", western),
        ("iso-8859-14", western),
        ("iso-8859-3", western),
        ("iso-8859-10", "Grüße ŋ"),
        ("iso-8859-16", "Ștefan"),
        ("windows-1250", polish),
        ("iso-8859-2", polish),
        ("windows-1251", russian),
        ("iso-8859-5", russian),
        ("koi8-r", russian),
        ("koi8-u", "Добрий день"),
        ("ibm866", russian),
        ("x-mac-cyrillic", russian),
        ("windows-1253", greek),
        ("iso-8859-7", greek),
        ("windows-1255", hebrew),
        ("iso-8859-8", hebrew),
        ("iso-8859-8-i", hebrew),
        ("windows-1256", arabic),
        ("iso-8859-6", arabic),
        ("windows-1254", turkish),
        ("windows-1257", baltic),
        ("iso-8859-13", baltic),
        ("iso-8859-4", baltic),
        ("windows-1258", "Vâng ạ"),
        ("windows-874", thai),
        ("gbk", chinese),
        ("gb18030", chinese),
        ("gb2312", "会议通知"),
        ("big5", "會議通知"),
        ("euc-jp", japanese),
        ("shift_jis", japanese),
        ("iso-2022-jp", japanese),
        ("euc-kr", korean),
    ] {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let (bytes, _, lost) = encoding.encode(words);
        assert!(!lost || label == "windows-1258", "{label} cannot write {words}");
        let expected = encoding.decode(&bytes).0;
        let raw = [format!("Subject: x\nContent-Type: text/plain; charset={label}\n\n").as_bytes(), &bytes].concat();
        assert_eq!(check(&raw).body.trim(), expected, "{label}");
    }
}

#[test]
fn plain_is_preferred_unless_it_says_nothing() {
    let mail = |plain: &str, html: &str| {
        check(
            format!(
                "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\
                 Content-Type: text/plain\n\n{plain}\n--b\nContent-Type: text/html\n\n{html}\n--b--\n"
            )
            .as_bytes(),
        )
        .body
    };
    assert_eq!(mail("The plain text of it.", "<p>The HTML text of it.</p>").trim(), "The plain text of it.");
    assert_eq!(mail("", "<p>Only here</p>").trim(), "Only here");
    let long = "Words ".repeat(50);
    assert!(mail("View in browser", &format!("<p>{long}</p>")).contains("Words"));
}

#[test]
fn a_broken_multipart_falls_back_to_the_raw_body() {
    let raw = b"Subject: x\nContent-Type: multipart/mixed; boundary=nowhere\n\nthe text is here\n";
    assert_eq!(check(raw).body.trim(), "the text is here");
}

#[test]
fn attachments_and_nested_messages() {
    let raw = b"Subject: Fwd\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee below\n\
        --b\nContent-Type: application/pdf; name=\"offer.pdf\"\nContent-Transfer-Encoding: base64\n\nJVBERi0=\n\
        --b\nContent-Type: message/rfc822\n\nSubject: inner\n\ninner text\n\
        --b\nContent-Type: text/plain; name=notes.txt\nContent-Disposition: attachment; filename=notes.txt\n\nmy notes\n--b--\n";
    let mail = check(raw);
    for needle in ["see below", "inner", "inner text", "my notes"] {
        assert!(mail.body.contains(needle), "{needle:?} not in {:?}", mail.body);
    }
    assert_eq!(mail.attachments, ["offer.pdf", "notes.txt"]);
}

#[test]
fn what_was_bounced_is_not_what_the_bounce_says() {
    let raw = b"Subject: Undelivered\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
        --b\n\nno such user\n--b\nContent-Type: message/rfc822\n\nSubject: inner\n\nbuy now\n--b--\n";
    let body = check(raw).body;
    assert!(body.contains("no such user") && !body.contains("buy now"), "{body:?}");
}

#[test]
fn nesting_without_end_is_not_followed() {
    let raw = [b"Subject: deep\n".as_slice(), &b"Content-Type: Message/RFC822\n\n".repeat(50_000)].concat();
    assert_eq!(check(&raw).envelope.subject.as_deref(), Some("deep"));
    let shallow = [b"Subject: x\n".as_slice(), &b"Content-Type: message/rfc822\n\n".repeat(900), b"text\n"].concat();
    assert_eq!(check(&shallow).envelope.subject.as_deref(), Some("x"));
}

#[test]
fn markup_and_invitations_without_text_have_no_text() {
    for raw in [
        "Content-Type: text/html\n\n<img src=x.png width=100 height=100>\n",
        "Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGltZyBzcmM9eC5wbmc+\n",
        "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n",
    ] {
        assert_eq!(check(raw.as_bytes()).body.trim(), "", "{raw}");
    }
}

#[test]
fn what_only_its_receiver_can_open_is_named_and_not_text() {
    let mixed = |part: &str| {
        format!("Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee it\n--b\n{part}\n--b--\n")
    };
    for (part, name) in [
        ("Content-Type: application/ms-tnef; name=winmail.dat\n\nxx", "winmail.dat"),
        ("Content-Type: application/pkcs7-signature\n\nxx", "application/pkcs7-signature"),
        (
            "Content-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHAqCA",
            "smime.p7s",
        ),
        ("Content-Type: text/plain; name=smime.p7m\n\nMIIB words", "smime.p7m"),
        (
            "Content-Type: text/plain\nContent-Disposition: attachment; filename=key.asc\n\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nmQEN",
            "key.asc",
        ),
    ] {
        let mail = check(mixed(part).as_bytes());
        assert_eq!((mail.body.trim(), mail.attachments), ("see it", vec![name.to_string()]), "{part}");
    }
    let encrypted = "Subject: x\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n\
        --b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n\
        --b\nContent-Type: application/octet-stream; name=encrypted.asc\n\n-----BEGIN PGP MESSAGE-----\n\nhQEM\n\
        -----END PGP MESSAGE-----\n--b--\n";
    let mail = check(encrypted.as_bytes());
    assert_eq!((mail.body.trim(), mail.sealed), ("", Some(sealed::PGP)));
    assert_eq!(mail.attachments, ["application/pgp-encrypted", "encrypted.asc"]);
    let inline = "Subject: x\n\n-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n";
    assert_eq!(check(inline.as_bytes()).sealed, Some(sealed::PGP));
    let smime = "Subject: x\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\
        Content-Transfer-Encoding: base64\n\nMIIB\n";
    let mail = check(smime.as_bytes());
    assert_eq!((mail.body.trim(), mail.sealed.is_some()), ("", true));
}

#[test]
fn an_invitation_says_what_its_text_does_not() {
    let invite = |text: &str| {
        let calendar = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20240618T143000\nSUMMARY:Roadmap\nLOCATION:Room 5\n\
                        DESCRIPTION:Bring notes\nEND:VEVENT\nEND:VCALENDAR";
        check(
            format!(
                "Subject: Roadmap\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\n{text}\n--b\n\
                 Content-Type: text/calendar; method=REQUEST\n\n{calendar}\n--b--\n"
            )
            .as_bytes(),
        )
        .body
    };
    assert_eq!(invite("").trim(), "Roadmap\n2024-06-18 14:30\nRoom 5\nBring notes");
    assert_eq!(invite("Bring notes").trim(), "2024-06-18 14:30\nRoom 5\n\nBring notes");
    assert_eq!(invite("We meet at 14:30 in Room 5").trim(), "We meet at 14:30 in Room 5");
    assert_eq!(invite("We meet at 2 PM in Room 5").trim(), "We meet at 2 PM in Room 5");
}

#[test]
fn an_encoding_that_breaks_off_is_read_as_far_as_it_goes() {
    let cut = |kind: &str, encoding: &str, body: &str| {
        check(
            format!(
                "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: {kind}\n\
                 Content-Transfer-Encoding: {encoding}\n\n{body}\n"
            )
            .as_bytes(),
        )
        .body
    };
    assert_eq!(cut("text/plain", "base64", "SGVscCB3YW50ZWQuICBXZSBh\ncmU=").trim(), "Help wanted.  We are");
    assert_eq!(cut("text/html", "base64", "PHA+SGVscDwvcD4=").trim(), "Help");
    assert_eq!(cut("text/plain", "quoted-printable", "caf=C3=A9").trim(), "café");
    assert_eq!(cut("image/png", "base64", "iVBORw0KGgo").trim(), "");
}

#[test]
fn what_a_forwarded_mail_holds_is_named_too() {
    let forward = "Subject: Fwd: x\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n\n\
        Subject: Hi\nContent-Type: multipart/encrypted; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\n\
        Version: 1\n--b\nContent-Type: application/octet-stream; name=encrypted.asc\n\nhQEM\n--b--\n--a--\n";
    let mail = check(forward.as_bytes());
    assert_eq!(mail.attachments, ["application/pgp-encrypted", "encrypted.asc"]);
    assert_eq!(mail.sealed, Some(sealed::PGP));
    let notes = "Subject: x\nContent-Type: text/plain; name=notes.asc\n\nwe met\n";
    assert_eq!(check(notes.as_bytes()).body.trim(), "we met");
}

#[test]
fn a_subject_tells_what_was_forwarded() {
    for subject in ["FW: Outage", "Fwd: x", "[list] FW: x", "转发：会议", "WG: Termin", "TR : x"] {
        assert!(is_forward(subject), "{subject}");
    }
    for subject in ["Re: Fwd: x", "Forward planning", "Trip: Tuesday", "I am: back", "[FW: x]", ""] {
        assert!(!is_forward(subject), "{subject}");
    }
    for subject in ["Re: x", "RE[2]: x", "[list] AW: x", "回复：会议", "Re: Fwd: x", "SV: x", "[EXTERNAL] [dev] Re: x"]
    {
        assert_eq!(place(Some(subject), false), ThreadPlace::Reply, "{subject}");
    }
    assert_eq!(place(Some("Printer request"), false), ThreadPlace::First);
    assert_eq!(place(Some("Printer request"), true), ThreadPlace::Reply);
    assert_eq!(place(Some("FW: x"), true), ThreadPlace::Forward);
    for subject in [None, Some("Odg: x"), Some("رد: x")] {
        assert_eq!(place(subject, false), ThreadPlace::Reply, "{subject:?}");
    }
    let ticket = "From: Bob <b@example.com>\nDate: 3 May 2016 10:10\nTo: Help\nSubject: printer\n\nIt hums.";
    let cleaned = |headers: &str| {
        let raw = format!("Subject: Ticket 7\n{headers}\nA ticket is yours.\n\n{ticket}\n");
        let mail = check(raw.as_bytes());
        crate::intake::clean::clean(&mail.body, &Switches::default(), mail.place).text
    };
    assert!(cleaned("Message-ID: <a@b>\n").ends_with("It hums."));
    assert_eq!(cleaned("Message-ID: <a@b>\nIn-Reply-To: <c@b>\n"), "A ticket is yours.");
    assert_eq!(cleaned(""), "A ticket is yours.");
    let page = "Subject: FW: x\nContent-Type: text/html\n\n<p>Please read.</p><div class=gmail_quote>The news.</div>\n";
    assert!(check(page.as_bytes()).body.contains("The news."));
}

#[test]
fn no_header_is_a_document() {
    assert_eq!(check(b"just text\nmore").body, "just text\nmore");
    assert_eq!(parse(b"\x89PNG\0\0", &Switches::default(), &BTreeSet::new()), Err(Reason::Binary));
}

/// Subject, sender and text of a message whose header and body are these bytes.
fn told(header: &[u8], body: &[u8]) -> (Option<String>, Option<String>, String) {
    let mail = parse(&[header, b"\r\n\r\n", body].concat(), &Switches::default(), &BTreeSet::new()).unwrap();
    (mail.envelope.subject, mail.envelope.from, mail.body.trim().to_string())
}

#[test]
fn what_the_bytes_say_counts_more_than_what_they_are_called() {
    let chinese = "您好，附件是六月份的发票";
    for charset in ["gb2312", "iso-8859-1", "us-ascii", "windows-1252"] {
        for (encoding, body) in [
            ("8bit", chinese.as_bytes().to_vec()),
            ("base64", STANDARD.encode(chinese).into_bytes()),
            ("quoted-printable", chinese.bytes().map(|byte| format!("={byte:02X}")).collect::<String>().into_bytes()),
        ] {
            let header = format!(
                "Subject: x\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}"
            );
            assert_eq!(told(header.as_bytes(), &body).2, chinese, "{charset} {encoding}");
        }
    }
    let japanese = b"\x1b$B@A5a=q\x1b(B";
    for kind in
        ["", "\r\nContent-Type: text/plain; charset=us-ascii", "\r\nContent-Type: text/plain; charset=iso-2022-jp-ms"]
    {
        let header = [b"Subject: \x1b$B@A5a=q\x1b(B", kind.as_bytes()].concat();
        let (subject, _, body) = told(&header, japanese);
        assert_eq!((subject.as_deref(), body.as_str()), (Some("請求書"), "請求書"), "{kind}");
    }
    let korean = "Subject: x\r\nContent-Type: text/plain; charset=iso-2022-kr";
    assert_eq!(told(korean.as_bytes(), b"\x1b$)C\x0e>H3g\x0f").2, "안녕");
    let seven = "Subject: x\r\nContent-Type: text/plain; charset=utf-7";
    assert_eq!(told(seven.as_bytes(), b"Gr+APwA3w-e").2, "Grüße");
}

#[test]
fn characters_that_are_cut_apart_are_whole() {
    let (subject, from, _) = told(
        b"From: =?utf-8?B?546L6Iqz6Yc=?= =?utf-8?B?h+i0remDqA==?= <lin@example.com>\r\n\
          Subject: =?gb2312?B?udjT2sH51MK3?=\r\n =?gb2312?B?3beixrE=?=",
        b"body",
    );
    assert_eq!(subject.as_deref(), Some("关于六月份发票"));
    assert_eq!(from.as_deref(), Some("王芳采购部 <lin@example.com>"));
}

#[test]
fn a_byte_order_mark_hides_no_header() {
    let (_, from, body) = told(b"\xef\xbb\xbfFrom: Lin <lin@example.com>\r\nSubject: x", b"body");
    assert_eq!((from.as_deref(), body.as_str()), (Some("Lin <lin@example.com>"), "body"));
    let header = b"\xef\xbb\xbfContent-Type: multipart/mixed; boundary=b\r\nSubject: x";
    assert_eq!(told(header, b"--b\r\nContent-Type: text/plain\r\n\r\nPlease pay.\r\n--b--\r\n").2, "Please pay.");
}

#[test]
fn a_footer_behind_an_encoding_is_text_and_harms_none() {
    let text = "您好，附件是六月份的发票，请在本月三十日之前付款到我们的银行账户。如有问题请联系财务部，谢谢！";
    let gbk = encoding_rs::GBK.encode(text).0;
    let quoted = |bytes: &[u8]| bytes.iter().map(|byte| format!("={byte:02X}")).collect::<String>();
    for footer in ["_____________\nusers mailing list\n", "-- \nAbmelden: müller@example.org\n", "=====\nEnd\n"] {
        for (charset, encoding, body) in [
            ("utf-8", "base64", STANDARD.encode(text)),
            ("gb2312", "base64", STANDARD.encode(&gbk)),
            ("utf-8", "quoted-printable", quoted(text.as_bytes())),
            ("gb2312", "quoted-printable", quoted(&gbk)),
        ] {
            for kind in ["plain", "html"] {
                let part = format!(
                    "Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n\r\n{footer}"
                );
                let single = format!("Subject: x\r\n{part}");
                let mixed = format!(
                    "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{part}\r\n--b--\r\n"
                );
                for mail in [single, mixed] {
                    let body = check(mail.as_bytes()).body;
                    assert!(body.starts_with(text), "{mail} as {body}");
                    let last = footer.trim().lines().last().unwrap();
                    assert!(body.contains(last), "{mail} as {body}");
                    assert_eq!(body.matches(text).count(), 1, "{body}");
                }
            }
        }
    }
}

#[test]
fn a_footer_behind_a_page_and_its_plain_form_reads_neither_twice() {
    let page = STANDARD.encode("<p>Please pay until Friday.</p>");
    let mail = format!(
        "Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
         Please pay until Friday.\n--b\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\n{page}\n\n\
         ____\nusers\n--b--\n"
    );
    assert_eq!(check(mail.as_bytes()).body.trim(), "Please pay until Friday.");
    let only = mail.replace("Please pay until Friday.\n--b", "…\n--b");
    assert!(check(only.as_bytes()).body.starts_with("Please pay until Friday."), "{}", check(only.as_bytes()).body);
}

#[test]
fn names_of_attachments_in_every_form() {
    let mail = |field: &str| {
        check(
            format!(
                "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee it\n--b\n\
                 Content-Type: application/pdf; name=\"fallback.pdf\"\nContent-Disposition: attachment; {field}\n\n%PDF\n--b--\n"
            )
            .as_bytes(),
        )
        .attachments
    };
    assert_eq!(mail("filename=\"=?utf-8?B?5Y+R56U=?=\n =?utf-8?B?qC5wZGY=?=\""), ["发票.pdf"]);
    assert_eq!(mail("filename*0*=utf-8''%E5%8F;\n filename*1*=%91%E7%A5%A8.pdf"), ["发票.pdf"]);
    assert_eq!(mail("filename*=\"utf-8''%E5%8F%91.pdf\""), ["发.pdf"]);
    assert_eq!(mail("size=7"), ["fallback.pdf"]);
}

#[test]
fn a_page_for_some_programs_is_neither_text_nor_attachment() {
    let mail = check(
        b"Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nYour parcel is on its way.\n--b\n\
          Content-Type: text/x-amp-html; name=amp.html\n\n<!doctype html><html amp4email><p>Track it</p></html>\n--b\n\
          Content-Type: text/html\n\n<p>Your parcel is on its way.</p>\n--b--\n",
    );
    assert_eq!((mail.body.trim(), mail.attachments.len()), ("Your parcel is on its way.", 0));
    // Neither is another form of a text that is read.
    let enriched = check(
        b"Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nHello.\n--b\n\
          Content-Type: text/enriched\n\n<bold>Hello.</bold>\n--b--\n",
    );
    assert_eq!(enriched.body.trim(), "Hello.");
}

#[test]
fn a_source_as_text_is_rendered() {
    let body = |text: &str| check(format!("Subject: x\nContent-Type: text/plain\n\n{text}").as_bytes()).body;
    assert_eq!(body("<html><body><p>Please&nbsp;pay.</p></body></html>\n").trim(), "Please pay.");
    let about = "Why is <p>this</p> not\n\n<div>centred</div>?\n";
    assert_eq!(body(about), about);
}

#[test]
fn signed_text_is_read_and_encrypted_text_is_named() {
    let opaque = |kind: &str, inner: &[u8], is_streamed: bool| {
        let cms = smime::tests::cms(kind.as_bytes(), inner, is_streamed);
        let lines: Vec<u8> = STANDARD.encode(cms).into_bytes().chunks(64).collect::<Vec<_>>().join(&b"\r\n"[..]);
        let head = "Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\
                    Content-Disposition: attachment; filename=smime.p7m\r\n\r\n";
        [head.as_bytes(), &lines, b"\r\n"].concat()
    };
    let inner = "Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
                 Bitte bis Dienstag zahlen, Grüße\r\n--i\r\nContent-Type: application/pdf; name=bill.pdf\r\n\r\n%PDF\r\n--i--\r\n";
    let told = |entity: &[u8]| {
        let mail = check(&[b"Subject: Fw\r\n", entity].concat());
        (mail.body.trim().to_string(), mail.attachments.join(", "), mail.sealed)
    };
    let read = ("Bitte bis Dienstag zahlen, Grüße".to_string(), "bill.pdf".to_string(), None);
    for is_streamed in [false, true] {
        let signed = opaque("signed", inner.as_bytes(), is_streamed);
        assert_eq!(told(&signed), read);
        assert_eq!(told(&opaque("signed", &signed, is_streamed)), read);
        let forwarded =
            [b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n", &signed[..], b"\r\n--o--\r\n"].concat();
        assert_eq!(told(&forwarded), read);
        // A list has put its footer behind it.
        assert_eq!(told(&[&signed[..], b"\r\n____\r\nusers list\r\n"].concat()), read);
        let encrypted = opaque("enveloped", inner.as_bytes(), is_streamed);
        let named = (String::new(), "smime.p7m".to_string(), Some("encrypted with S/MIME"));
        assert_eq!(told(&encrypted), named);
        assert_eq!(told(&opaque("signed", &encrypted, is_streamed)), named);
    }
    let mut deep = inner.as_bytes().to_vec();
    (0..body::MAX_DEPTH + 1).for_each(|_| deep = opaque("signed", &deep, true));
    assert_eq!(told(&deep).2, Some(sealed::SMIME));
}

#[test]
fn messages_as_apple_mail_keeps_them() {
    let message = "From: a@b\nSubject: Invoice\n\nPlease pay.\n";
    let file =
        format!("{}        \n{message}<?xml version=\"1.0\"?>\n<plist version=\"1.0\">\n</plist>\n", message.len());
    let mail = check(file.as_bytes());
    assert_eq!((mail.envelope.subject.as_deref(), mail.body.as_str()), (Some("Invoice"), "Please pay.\n"));
}

#[test]
fn line_ends_of_old_macs() {
    let mail = "From: Jörg <a@b>\nSubject: Rechnung\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nGrüße,\nJörg\n--b--\n";
    let utf16: Vec<u8> = mail.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(parse(&utf16, &Switches::default(), &BTreeSet::new()), Err(Reason::Binary));
    let mail = check(mail.replace('\n', "\r").as_bytes());
    assert_eq!(mail.envelope.subject.as_deref(), Some("Rechnung"));
    assert_eq!(mail.envelope.from.as_deref(), Some("Jörg <a@b>"));
    assert_eq!(mail.body.trim(), "Grüße,\nJörg");
    // Only the body is of an old Mac.
    let raw = "Subject: x\nContent-Transfer-Encoding: base64\n\n".to_string() + &STANDARD.encode("one\rtwo\r");
    assert_eq!(check(raw.as_bytes()).body, "one\ntwo\n");
}
