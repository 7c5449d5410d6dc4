"""How Windows hosts of different age and set-up differ in what they say."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.lab.machine import LabFault


@dataclass(frozen=True, slots=True)
class Quotas:
    """WinRM's limits; the defaults are those of Windows Server 2012 R2 and later."""

    shells_per_user: int = 30
    processes_per_shell: int = 25
    operations_per_user: int = 1500
    envelope_kilobytes: int = 500


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a host says, and how.

    ``one_first``: the first answer to Enumerate has one item, whatever was
    asked for. ``wmi_faults``: quota faults come as MSFT_WmiError, without
    RelatesTo. ``activity``: answers have an ActivityId. ``plain_status`` is
    what a message in clear text gets where it has to be sealed. ``old_shells``:
    a listed shell has no process, memory and longest idle time-out.
    ``content_type`` and ``identify``: whether replies say what they are, and
    whether the host says who it is to strangers. ``language`` is that of its
    texts. ``output_bytes`` is the most that a Receive carries.
    """

    one_first: bool = False
    wmi_faults: bool = True
    activity: bool = True
    plain_status: int = 500
    old_shells: bool = False
    quotas: Quotas = field(default_factory=Quotas)
    content_type: bool = True
    identify: bool = True
    language: str = "en-US"
    output_bytes: int | None = None

    def text(self, error: LabFault) -> str:
        """A fault's reason in the host's language."""
        if self.language == "zh-TW":
            return _TRADITIONAL_CHINESE.get(error.code, error.reason)
        return error.reason


DIALECTS = {
    "2008r2": Dialect(
        one_first=True,
        wmi_faults=False,
        activity=False,
        plain_status=401,
        old_shells=True,
        quotas=Quotas(5, 15, 15, 150),
    ),
    "2012": Dialect(one_first=True, wmi_faults=False, activity=False, plain_status=401),
    "2012r2": Dialect(wmi_faults=False, activity=False),
    "2022": Dialect(),
}

_TRADITIONAL_CHINESE = {
    5: "存取被拒。",
    995: "由於執行緒結束或應用程式要求,所以已中止 I/O 操作。",
    2147942402: "系統找不到指定的檔案。",
    2147942606: "檔案名稱或副檔名太長。",
    2150858778: "無法處理篩選器:類別或查詢不正確。",
    2150858793: "WS-Management 服務無法在 OperationTimeout 指定的時間內完成操作。",
    2150858843: "WS-Management 服務無法處理要求,因為要求包含資源的無效選取器。",
    2150859173: "WS-Management 服務無法處理要求。已超過此使用者的並行 Shell 數目上限。",
    2150859174: "WS-Management 服務無法處理要求。已超過此使用者的並行操作數目上限。",
}
