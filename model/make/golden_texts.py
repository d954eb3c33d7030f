"""The fifty texts of the golden file, written for it: scripts, forms and edges that a tokenizer can get wrong."""

_PARTS = ('The delivery for order {0} left our warehouse on Monday and should reach you before the weekend.',
          'Bitte prüfen Sie die beigefügte Rechnung Nr. {0} und überweisen Sie den Betrag innerhalb von 14 Tagen.',
          'Nous avons bien reçu votre demande numéro {0}; un conseiller vous répondra dès que possible.',
          'Adjunto el contrato {0} con los cambios que comentamos ayer por teléfono.',
          '请在第{0}次会议之前阅读附件中的报告，并准备好您的意见。',
          'If the server reports error {0} again, restart the queue and send us the complete log file.')
LONG = ' '.join(_PARTS[i % len(_PARTS)].format(100 + 7 * i) for i in range(46))

TEXTS = [
    '', '   ', '\n\t \r\n', 'a', 'Z', 'Hello, world!', LONG,
    'Your invoice #4711 is overdue, please pay by Friday!',
    '尊敬的团队成员:请查收本周五上午10点的产品评审会议邀请,附议程和材料。',
    '服务器监控系统检测到数据库连接池异常,请立即排查。',
    'Sehr geehrte Damen und Herren, anbei die Rechnung über die Datenschutzgrundverordnung',
    '会議の日程を変更したいのですが', 'Пожалуйста, подтвердите встречу', 'يرجى تأكيد موعد الاجتماع',
    'אנא אשרו את הפגישה ביום שלישי', 'กรุณายืนยันการประชุมวันศุกร์', '회의 일정을 변경하고 싶습니다',
    'Ｆｕｌｌ－ｗｉｄｔｈ　ＡＢＣ　１２３', 'ﬁne oﬃce ﬂow', '😀🎉 party tonight!! 🙂✋', '1234567890 12.50€ 3,000,000',
    'ⴰⵎⴰⵣⵉⵖ ⵜⴰⵎⴰⵣⵉⵖⵜ', 'ᚠᚢᚦᚨᚱᚲ', '----====____****', '\u00a0non\u00a0breaking\u2003spaces\u3000here',
    'mail someone@example.org or see http://example.org/path?x=1&y=2', 'Café naïve résumé coöperate',
    'Cafe\u0301 decomposed n\u0303', 'ΑΘΗΝΑ Ελλάδα ς Σίσυφος', 'İstanbul IŞIK ılık', 'ǅ Ǆ ß ẞ STRASSE',
    '½ ² ① Ⅷ ㎏ ﷺ', 'カタカナ ｶﾀｶﾅ ひらがな', '漢字と仮名ABC123混在テキスト', '这是English和中文mixed的text', '繁體中文的會議通知與發票',
    'हिन्दी में एक ईमेल', 'Xin chào, cuộc họp ngày mai', 'Merhaba, toplantı yarın saat 9’da',
    'Hyvää huomenta, kokous on siirretty', 'Zażółć gęślą jaźń', '\u200bzero\u200bwidth\ufeff\u00adsoft',
    'tab\tseparated\nlines\r\nmore\x0bvertical\x0cfeed', '"quotes" ‘single’ «guillemets» „german“', 'C++ C# .NET v1.2.3 x86_64',
    'snake_case_word kebab-case CamelCase', '𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒎𝒂𝒕𝒉', '▁ metaspace ▁▁ inside▁word', '٣٤٥ ۱۲۳ १२३ digits',
    'Donaudampfschifffahrtsgesellschaftskapitän antidisestablishmentarianism',
]
