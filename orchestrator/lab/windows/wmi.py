"""WMI classes of the model, each a function from the computer to its rows.

Property types follow WMI: 64-bit integers are text, memory of
Win32_OperatingSystem is in KB.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.lab.machine import Instance, Value
from orchestrator.lab.windows import wql
from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.things import Process

Rows = list[dict[str, Value]]


def query(computer: Computer, text: str, namespace: str = "root/cimv2") -> list[Instance]:
    """Rows of a query in a namespace, whose name WMI takes in any case and with
    either slash."""
    parsed = wql.parse(text)
    classes = _NAMESPACES.get(namespace.lower().replace("\\", "/"))
    if classes is None:
        raise wql.refuse(f"The namespace {namespace} does not exist.")
    wanted = parsed.class_name.lower()
    missing = {name.lower() for name in computer.missing_classes}
    for name, rows in classes.items():
        there = computer.has_gpu or "GPU" not in name
        if name.lower() == wanted and there and wanted not in missing:
            return _select(name, rows(computer), parsed)
    raise wql.refuse(f"The class {parsed.class_name} does not exist in the namespace.")


def class_names() -> list[str]:
    """Every class of the model."""
    return [name for classes in _NAMESPACES.values() for name in classes]


def _select(name: str, rows: Rows, query: wql.Query) -> list[Instance]:
    found = [row for row in rows if query.test(row)]
    if query.columns is None:
        return [Instance(name, row, projected=False) for row in found]
    known = {key.lower(): key for row in rows for key in row}
    for column in query.columns:
        if known and column.lower() not in known:
            raise wql.refuse(f"The property {column} does not exist.")
    columns = [known.get(column.lower(), column) for column in query.columns]
    return [Instance(name, {c: row[c] for c in columns}, projected=True) for row in found]


def _processes(computer: Computer) -> Rows:
    return [
        {
            "Caption": p.name,
            "CommandLine": p.command_line or None,
            "CreationDate": p.created_at if p.pid else None,
            "CSName": computer.name,
            "ExecutablePath": p.image if "\\" in p.image else None,
            "Handle": str(p.pid),
            "KernelModeTime": str(round(computer.kernel_seconds(p) * 10_000_000)),
            "Name": p.name,
            "ParentProcessId": p.parent_pid,
            "ProcessId": p.pid,
            "SessionId": p.session_id,
            "WorkingSetSize": str(p.memory_mb * 1024 * 1024),
        }
        for p in [_idle(computer), *computer.processes(), *_logon_screen(computer)]
    ]


def _idle(computer: Computer) -> Process:
    """What runs when nothing else wants to."""
    name = "System Idle Process"
    return Process(0, 0, name, "", 0, "SYSTEM", computer.booted_at, memory_mb=0)


def _logon_screen(computer: Computer) -> list[Process]:
    """LogonUI draws the lock screen, and the logon screen where nobody is logged on."""
    desktop = computer.desktop
    if desktop.user is not None and not desktop.locked:
        return []
    image = r"C:\Windows\System32\LogonUI.exe"
    return [Process(1300, 0, image, image, desktop.session_id, "SYSTEM", computer.booted_at)]


def _operating_system(computer: Computer) -> Rows:
    _, used, _ = computer.usage()
    return [
        {
            "BuildNumber": "20348",
            "Caption": "Microsoft Windows Server 2022 Datacenter",
            "CSName": computer.name,
            "FreePhysicalMemory": str((computer.memory_mb - used) * 1024),
            "LastBootUpTime": computer.booted_at,
            "LocalDateTime": computer.now(),
            "TotalVisibleMemorySize": str(computer.memory_mb * 1024),
            "Version": "10.0.20348",
        }
    ]


def _computer_system(computer: Computer) -> Rows:
    user = computer.desktop.user
    return [
        {
            "Name": computer.name,
            "NumberOfLogicalProcessors": computer.cpus,
            "TotalPhysicalMemory": str(computer.memory_mb * 1024 * 1024),
            "UserName": f"{computer.name}\\{user}" if user else None,
        }
    ]


def _sockets(computer: Computer) -> Rows:
    return [{"DeviceID": "CPU0", "NumberOfLogicalProcessors": computer.cpus}]


def _processors(computer: Computer) -> Rows:
    cpu, _, _ = computer.usage()
    names = [*(str(number) for number in range(computer.cpus)), "_Total"]
    percent = str(round(cpu * 100))
    return [{"Name": name, "PercentProcessorTime": percent} for name in names]


def _gpu_engines(computer: Computer) -> Rows:
    rows: Rows = []
    for process in computer.processes():
        for engine, share in (("3D", process.gpu), ("VideoEncode", process.gpu / 4)):
            if process.session_id != 0:
                rows.append(_gpu_engine(computer, process, engine, share))
    return rows


def _gpu_engine(
    computer: Computer, process: Process, engine: str, share: float
) -> dict[str, Value]:
    name = f"pid_{process.pid}_luid_0x00000000_0x0000D3A6_phys_0_eng_0_engtype_{engine}"
    used = 0 if computer.gpu_counters_stuck else round(share * 100)
    return {"Name": name, "UtilizationPercentage": str(used)}


def _gpu_memory(computer: Computer) -> Rows:
    used = sum(round(process.gpu * 2_000_000_000) for process in computer.processes())
    return [
        {
            "Name": "luid_0x00000000_0x0000D3A6_phys_0",
            "DedicatedUsage": str(used),
            "SharedUsage": "0",
            "TotalCommitted": str(used),
        }
    ]


def _disks(_: Computer) -> Rows:
    return [
        {
            "DeviceID": "C:",
            "DriveType": 3,
            "FreeSpace": str(120 * 2**30),
            "Size": str(256 * 2**30),
        }
    ]


def _networks(computer: Computer) -> Rows:
    streams = sum(computer.clients.values())
    received, sent = 20_000 * (1 + streams), 10_000 + 600_000 * streams
    return [
        _network("Ethernet Adapter", received, sent, 1_000_000_000),
        _network("isatap.{6E06F030-7526-11D2-BAF4-00600815A4BD}", 0, 0, 100_000),
    ]


def _network(name: str, received: int, sent: int, bandwidth: int) -> dict[str, Value]:
    return {
        "Name": name,
        "BytesReceivedPersec": str(received),
        "BytesSentPersec": str(sent),
        "BytesTotalPersec": str(received + sent),
        "CurrentBandwidth": str(bandwidth),
    }


def _connections(computer: Computer) -> Rows:
    """Each listening port (state 2), and one established connection (5) a client."""
    with computer.look():
        listeners, clients = dict(computer.listeners), dict(computer.clients)
    rows = [_connection(port, pid, 0, 2) for port, pid in sorted(listeners.items())]
    for port, count in sorted(clients.items()):
        if port in listeners:
            rows += [_connection(port, listeners[port], 50_000 + n, 5) for n in range(count)]
    return rows


def _connection(port: int, pid: int, remote: int, state: int) -> dict[str, Value]:
    return {
        "LocalAddress": "::" if state == 2 else "192.0.2.10",
        "LocalPort": port,
        "OwningProcess": pid,
        "RemoteAddress": "::" if state == 2 else "198.51.100.7",
        "RemotePort": remote,
        "State": state,
    }


_CIMV2: dict[str, Callable[[Computer], Rows]] = {
    "Win32_ComputerSystem": _computer_system,
    "Win32_LogicalDisk": _disks,
    "Win32_OperatingSystem": _operating_system,
    "Win32_PerfFormattedData_Counters_ProcessorInformation": _processors,
    "Win32_PerfFormattedData_GPUPerformanceCounters_GPUAdapterMemory": _gpu_memory,
    "Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine": _gpu_engines,
    "Win32_PerfFormattedData_PerfOS_Processor": _processors,
    "Win32_PerfFormattedData_Tcpip_NetworkInterface": _networks,
    "Win32_Process": _processes,
    "Win32_Processor": _sockets,
}

_NAMESPACES: dict[str, dict[str, Callable[[Computer], Rows]]] = {
    "root/cimv2": _CIMV2,
    "root/standardcimv2": {"MSFT_NetTCPConnection": _connections},
}
