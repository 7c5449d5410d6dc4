"""What Windows consoles write: codepages, marks, CLIXML."""

from __future__ import annotations

import pytest

from orchestrator.transport.console import decoded, without_clixml

OBJECTS = '<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
PROGRESS = (
    f'{OBJECTS}<Obj S="progress" RefId="0"><TN RefId="0"><T>System.Management.Automation.'
    'PSCustomObject</T><T>System.Object</T></TN><MS><I64 N="SourceId">1</I64>'
    '<PR N="Record"><AV>Preparing modules for first use.</AV><AI>0</AI></PR></MS></Obj></Objs>'
)


def clixml(*texts: str) -> str:
    lines = "".join(f'<S S="Error">{text}_x000D__x000A_</S>' for text in texts)
    return f"#< CLIXML\r\n{OBJECTS}{lines}</Objs>"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("", ""),
        ("plain words\r\n", "plain words"),
        (clixml("it broke"), "it broke"),
        (clixml("it broke : ", "At line:1"), "it broke : At line:1"),
        (f"#< CLIXML\r\n{PROGRESS}", ""),
        (f"#< CLIXML\r\n{PROGRESS}{clixml('late')[11:]}", "late"),
        (f"#< CLIXML\r\n{PROGRESS}\r\n{clixml('two blocks')}", "two blocks"),
        (f"before\r\n{clixml('inside')}\r\nafter", "before after inside"),
        (clixml("&lt;a&gt; &amp;amp; &#x7DDA;&#32218; &quot;b&quot;"), '<a> &amp; 線線 "b"'),
        (clixml("找不到路徑 _x005F_x0041_ 𠮷"), "找不到路徑 _x0041_ 𠮷"),
        (clixml("_xD842__xDFB7_"), "𠮷"),
        (clixml("_xD842_ alone"), "\ufffd alone"),
        (
            f'#< CLIXML\r\n{OBJECTS}<Obj S="Error" RefId="0"><ToString>an object</ToString>'
            "</Obj></Objs>",
            "an object",
        ),
        (f'#< CLIXML\r\n{OBJECTS}<S S="Warning">careful</S></Objs>', ""),
        (f'#< CLIXML\r\n{OBJECTS}<S S="Error">cut off in the mid', "cut off in the mid"),
        ("#< CLIXML", ""),
    ],
)
def test_stderr_is_put_into_words(mark: str, stderr: str, words: str) -> None:
    read = without_clixml((mark + stderr).encode())
    assert read == words
    read.encode()


@pytest.mark.parametrize("codepage", ["utf-8", "utf-8-sig", "cp950", "utf-16"])
def test_traditional_chinese_is_read_in_every_codepage_that_servers_use(codepage: str) -> None:
    text = "系統找不到指定的檔案。\r\n"
    assert decoded(text.encode(codepage)) == text


@pytest.mark.parametrize("codepage", ["utf-8", "cp950"])
def test_a_character_cut_off_at_the_end_does_not_spoil_the_rest(codepage: str) -> None:
    text = "存取被拒線"
    assert decoded(text.encode(codepage)[:-1]) == "存取被拒"


def test_what_is_no_text_is_still_shown() -> None:
    assert decoded(b"ok \xff\xff\xff") == "ok \ufffd\ufffd\ufffd"
