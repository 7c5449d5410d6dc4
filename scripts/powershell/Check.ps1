<#
.SYNOPSIS
    What a server must have before it joins, one function an item.
.DESCRIPTION
    Needs Common.ps1, File.ps1, Process.ps1, Session.ps1 and Desktop.ps1. Each
    function answers one item or several; what it throws becomes the item's
    not_measured. Quotas come from Get-WSManInstance, which needs the WinRM
    service and administrators' rights.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Check.ps1
#>
#Requires -Version 5.1

$LargestOffsetSec = 300
$NotableOffsetSec = 60

function New-CheckItem {
    # One item: verdict is ok, warning, problem or not_measured.
    param([string] $Name, [string] $Verdict, [string] $Found, [string] $Remedy)
    if ($Verdict -eq 'ok') { $Remedy = '' }
    return [ordered]@{ name = $Name; verdict = $Verdict; found = $Found; remedy = $Remedy }
}

function Invoke-Check {
    # The items of one check; where it fails, an item that says why.
    param([string] $Name, [scriptblock] $Check)
    try { $items = @(& $Check) }
    catch {
        $remedy = 'look at the server itself'
        if (Test-AccessDenied $_) { $remedy = 'needs a member of Administrators to find out' }
        $items = @(New-CheckItem $Name 'not_measured' $_.Exception.Message $remedy)
    }
    return $items
}

function Get-RegistryValue {
    # A value of the registry, or null where it is not set.
    param([string] $Key, [string] $Name)
    try { $found = Get-ItemProperty -LiteralPath $Key -Name $Name -ErrorAction Stop }
    catch {
        if ($_.Exception -is [System.Management.Automation.DriveNotFoundException]) { throw }
        if (Test-AccessDenied $_) { throw }
        return $null
    }
    return (Get-OptionalProperty $found $Name)
}

function Test-Administrator {
    # Whether this process has the rights of Administrators, not only the group.
    $identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object System.Security.Principal.WindowsPrincipal $identity
    return $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

function Measure-PowerShell {
    # Windows PowerShell 5.1 or later.
    $version = [string]$PSVersionTable.PSVersion
    $verdict = 'ok'
    if ([version]($version -replace '^(\d+\.\d+).*$', '$1') -lt [version]'5.1') { $verdict = 'problem' }
    New-CheckItem 'powershell' $verdict $version 'install Windows Management Framework 5.1'
}

function Measure-WindowsVersion {
    # The Windows version, by its build number.
    $system = Get-CimInstance -ClassName Win32_OperatingSystem -ErrorAction Stop | Select-Object -First 1
    $build = [int](Get-OptionalProperty $system 'BuildNumber' 0)
    $found = "$(Get-OptionalProperty $system 'Caption' 'Windows'), build $build"
    if ($build -gt 0 -and $build -lt 9200) {
        return (New-CheckItem 'windows' 'problem' $found 'games are started by the task scheduler cmdlets of Windows Server 2012 and later: polling works, starting does not')
    }
    if ($build -ge 26100) {
        return (New-CheckItem 'windows' 'warning' $found 'this Windows has NTLMv1 removed and may have NTLM restricted: see docs/windows.md, and prefer Kerberos or a certificate')
    }
    New-CheckItem 'windows' 'ok' $found ''
}

function Measure-Right {
    # Whether the account has administrators' rights here, and the UAC filter.
    param([string] $Account)
    $isElevated = Test-Administrator
    $policy = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
    $filter = Get-RegistryValue $policy 'LocalAccountTokenFilterPolicy'
    $uac = Get-RegistryValue $policy 'EnableLUA'
    $found = "LocalAccountTokenFilterPolicy is $(if ($null -eq $filter) { 'not set' } else { $filter })"
    if ($isElevated) {
        New-CheckItem 'rights' 'ok' "$Account has the rights of Administrators" ''
        return (New-CheckItem 'uac_filter' 'ok' "$found, and this token is not filtered" '')
    }
    New-CheckItem 'rights' 'problem' "$Account does not have the rights of Administrators" 'make it a member of Administrators; without these rights it can poll, but not start games for another user'
    if ([string]$filter -eq '1' -or [string]$uac -eq '0') { return (New-CheckItem 'uac_filter' 'ok' $found '') }
    New-CheckItem 'uac_filter' 'problem' $found 'a local administrator gets a filtered token over the network: set LocalAccountTokenFilterPolicy to 1 (Enable-RuntimeServer does)'
}

function Measure-Quota {
    # WinRM's limits for one user, each an item.
    $shell = Get-WSManInstance -ResourceURI 'winrm/config/winrs' -ErrorAction Stop
    $service = Get-WSManInstance -ResourceURI 'winrm/config/service' -ErrorAction Stop
    $root = Get-WSManInstance -ResourceURI 'winrm/config' -ErrorAction Stop
    $limits = @(
        @('MaxShellsPerUser', $shell, 5, 15), @('MaxProcessesPerShell', $shell, 5, 15), @('MaxMemoryPerShellMB', $shell, 150, 512),
        @('MaxConcurrentOperationsPerUser', $service, 15, 100), @('MaxEnvelopeSizekb', $root, 150, 150))
    foreach ($limit in $limits) {
        $name, $config, $least, $enough = $limit
        $text = [string](Get-OptionalProperty $config $name '')
        $number = 0
        if (-not [int]::TryParse($text, [ref]$number)) {
            New-CheckItem $name 'not_measured' $text "look at 'winrm get winrm/config'"
            continue
        }
        $verdict = 'ok'
        if ($number -lt $enough) { $verdict = 'warning' }
        if ($number -lt $least) { $verdict = 'problem' }
        New-CheckItem $name $verdict $text "raise $name to $enough at least (Enable-RuntimeServer does)"
    }
    $verdict = 'ok'
    $found = [string](Get-OptionalProperty $service 'AllowUnencrypted' '')
    if ($found -eq 'true') { $verdict = 'warning' }
    New-CheckItem 'AllowUnencrypted' $verdict $found 'set it to false: the broker seals or uses HTTPS, others may send passwords in clear'
}

function Measure-Ntlm {
    # Whether policy denies NTLM to this server.
    $value = Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Control\Lsa\MSV1_0' 'RestrictReceivingNTLMTraffic'
    if ([string]$value -eq '2') { return (New-CheckItem 'ntlm' 'warning' 'incoming NTLM is denied for every account' 'use Kerberos or a certificate for this server') }
    if ([string]$value -eq '1') { return (New-CheckItem 'ntlm' 'warning' 'incoming NTLM is denied for domain accounts' 'use Kerberos, a certificate or a local account for this server') }
    New-CheckItem 'ntlm' 'ok' 'incoming NTLM is not denied by policy' ''
}

function Measure-Counter {
    # CPU and GPU as polling reads them.
    $prefix = 'Win32_PerfFormattedData'
    Invoke-Check 'cpu_counters' {
        $total = @(Get-CimInstance -ClassName "${prefix}_PerfOS_Processor" -Filter "Name='_Total'" -ErrorAction Stop)
        if ($total.Count -gt 0) { New-CheckItem 'cpu_counters' 'ok' "CPU $(Get-OptionalProperty $total[0] 'PercentProcessorTime' 0) %" '' }
        else { New-CheckItem 'cpu_counters' 'problem' 'the CPU counter has no total' 'rebuild the counters: lodctr /R, then winmgmt /resyncperf' }
    }
    $hasTool = Test-Path -LiteralPath 'C:\Windows\System32\nvidia-smi.exe'
    $remedy = 'the GPU counts as not measured in placement; that needs Windows 10 1709 or Server 2019 and a WDDM 2 driver'
    try { $engines = @(Get-CimInstance -ClassName "${prefix}_GPUPerformanceCounters_GPUEngine" -ErrorAction Stop) }
    catch {
        if (Test-AccessDenied $_) { throw }
        return (New-CheckItem 'gpu_counters' 'warning' "no GPU counters; nvidia-smi is there: $hasTool" $remedy)
    }
    if ($engines.Count -eq 0) { return (New-CheckItem 'gpu_counters' 'warning' "GPU counters without an engine; nvidia-smi is there: $hasTool" $remedy) }
    New-CheckItem 'gpu_counters' 'ok' "$($engines.Count) engines in use" ''
}

function Measure-Desktop {
    # Who is at the desktop, and whether a task can be registered for them.
    param([object[]] $Snapshot, [bool] $IsTried)
    try { $desktop = Find-Desktop $Snapshot }
    catch {
        if ($_.FullyQualifiedErrorId -notmatch '^desktop_') { throw }
        New-CheckItem 'desktop' 'problem' $_.Exception.Message "log the player's account on at the console, without a screen lock; games cannot start before"
        return (New-CheckItem 'tasks' 'not_measured' 'no desktop to register a task for' 'check again when a player is at the desktop')
    }
    New-CheckItem 'desktop' 'ok' "$($desktop.User), Windows session $($desktop.SessionId)" ''
    if (-not $IsTried) { return (New-CheckItem 'tasks' 'not_measured' 'not tried' 'check without -WhatIf') }
    $name = "check.$([guid]::NewGuid().ToString('N'))"
    try {
        $null = Register-SessionTask $name 'cmd.exe' '/c exit' '' $desktop.User $false
        $null = Remove-SessionTask $name $false
        New-CheckItem 'tasks' 'ok' "a task for $($desktop.User) was registered and removed" ''
    }
    catch { New-CheckItem 'tasks' 'problem' $_.Exception.Message 'starting games needs a member of Administrators, and the Task Scheduler service' }
}

function Measure-RecordFolder {
    # Whether sessions' records can be kept.
    param([bool] $IsTried)
    $folder = Get-RecordFolder
    if (-not $IsTried) { return (New-CheckItem 'records' 'not_measured' 'not tried' 'check without -WhatIf') }
    $path = Join-WindowsPath $folder "check.$([guid]::NewGuid().ToString('N')).tmp"
    try {
        $null = New-Item -ItemType Directory -Path $folder -Force -ErrorAction Stop
        Set-Content -LiteralPath $path -Value 'check' -Encoding ASCII -ErrorAction Stop
        Remove-Item -LiteralPath $path -Force -ErrorAction Stop
    }
    catch { return (New-CheckItem 'records' 'problem' "$folder cannot be written: $($_.Exception.Message)" "give the broker's account the right to write there") }
    New-CheckItem 'records' 'ok' "$folder can be written" ''
}

function Get-Architecture {
    # 32-bit, 64-bit or unknown, from the header of an executable.
    param([object] $Item)
    $stream = Open-File $Item 'Read' 'ReadWrite'
    try { $head = [Convert]::FromBase64String((Read-Piece $stream 0 4096)) }
    finally { $stream.Dispose() }
    if ($head.Length -lt 64 -or $head[0] -ne 77 -or $head[1] -ne 90) { return 'no program' }
    $at = [BitConverter]::ToInt32($head, 60)
    if ($at -lt 0 -or $at + 6 -gt $head.Length) { return 'unknown architecture' }
    $names = @{ 332 = '32-bit'; 34404 = '64-bit'; 43620 = 'ARM64' }
    $machine = [int][BitConverter]::ToUInt16($head, $at + 4)
    if ($names.ContainsKey($machine)) { return $names[$machine] }
    return 'unknown architecture'
}

function Measure-GamingAnywhere {
    # GamingAnywhere's programs for the modes in use, and its configs' folder.
    param([string] $GaDirectory, [string] $ConfigDirectory, [string[]] $Mode)
    $words = @()
    $verdict = 'ok'
    foreach ($name in @('periodic', 'event-driven')) {
        if ($Mode -notcontains $name) { continue }
        $path = Join-WindowsPath (ConvertTo-WindowsPath $GaDirectory) "ga-server-$name.exe"
        $item = Get-FileItem $path
        if ($null -ne $item) { $words += "${name}: $(Get-Architecture $item)" }
        else {
            $words += "$path is not there"
            $verdict = 'problem'
        }
    }
    if ($words.Count -eq 0) { return }
    if ($words -match 'no program|unknown') { $verdict = 'warning' }
    New-CheckItem 'gaminganywhere' $verdict ($words -join '; ') 'copy GamingAnywhere there or correct orchestrator_ga_directory; a hooked game must have the same architecture'
    $folder = ConvertTo-WindowsPath $ConfigDirectory
    if (Test-Path -LiteralPath $folder -PathType Container) { return (New-CheckItem 'configs' 'ok' $folder '') }
    New-CheckItem 'configs' 'problem' "$folder is not there" 'copy the .conf files there or correct orchestrator_config_directory'
}

function Get-OpenPort {
    # Endpoints that listen, TCP and UDP; none where Windows finds none.
    try { Get-NetTCPConnection -State Listen -ErrorAction Stop }
    catch { if ($_.CategoryInfo.Category -ne 'ObjectNotFound') { throw } }
    try { Get-NetUDPEndpoint -ErrorAction Stop }
    catch { if ($_.CategoryInfo.Category -ne 'ObjectNotFound') { throw } }
}

function Measure-Port {
    # Who listens in the range for streams, other than sessions of ours.
    param([int] $FirstPort, [int] $LastPort, [object[]] $Snapshot)
    $ours = @(Get-OtherSessionKey '' | ForEach-Object { ($_ -split '@')[0] })
    $busy = @(foreach ($endpoint in @(Get-OpenPort)) {
        $port = [int](Get-OptionalProperty $endpoint 'LocalPort' 0)
        $owner = [int](Get-OptionalProperty $endpoint 'OwningProcess' 0)
        if ($port -lt $FirstPort -or $port -gt $LastPort -or $ours -contains [string]$owner) { continue }
        $process = $Snapshot | Where-Object { $_.Id -eq $owner } | Select-Object -First 1
        "$port by $(if ($null -ne $process) { $process.Name } else { "PID $owner" })"
    })
    $busy = @($busy | Sort-Object -Unique)
    if ($busy.Count -eq 0) { return (New-CheckItem 'ports' 'ok' "$FirstPort-$LastPort are free" '') }
    New-CheckItem 'ports' 'warning' "taken: $($busy -join ', ')" 'end that program, or choose other orchestrator_ports'
}

function Measure-Disk {
    # Room on the drives in use.
    param([string[]] $Path)
    $letters = @(@('C:') + @($Path | Where-Object { $_ -match '^[A-Za-z]:' } | ForEach-Object { $_.Substring(0, 2).ToUpperInvariant() }) | Sort-Object -Unique)
    $disks = @(Get-CimInstance -ClassName Win32_LogicalDisk -Filter 'DriveType=3' -ErrorAction Stop)
    $verdict = 'ok'
    $words = @(foreach ($letter in $letters) {
        $disk = $disks | Where-Object { (Get-OptionalProperty $_ 'DeviceID' '') -eq $letter } | Select-Object -First 1
        if ($null -eq $disk) {
            $verdict = 'problem'
            "$letter is not there"
            continue
        }
        $free = [double](Get-OptionalProperty $disk 'FreeSpace' 0) / 1073741824
        if ($free -lt 1) { $verdict = 'problem' }
        elseif ($free -lt 5 -and $verdict -eq 'ok') { $verdict = 'warning' }
        "$letter $($free.ToString('0.0', [System.Globalization.CultureInfo]::InvariantCulture)) GiB free"
    })
    New-CheckItem 'disk' $verdict ($words -join ', ') 'make room: logs and Windows itself need a few GiB'
}

function Measure-Clock {
    # This clock against the broker's.
    param([string] $BrokerTime)
    if (-not $BrokerTime) { return }
    $seconds = [Math]::Round(((Get-UtcNow) - (ConvertTo-UtcTime $BrokerTime)).TotalSeconds)
    $verdict = 'ok'
    if ([Math]::Abs($seconds) -gt $NotableOffsetSec) { $verdict = 'warning' }
    if ([Math]::Abs($seconds) -gt $LargestOffsetSec) { $verdict = 'problem' }
    New-CheckItem 'clock' $verdict "$seconds s from the broker's" 'set the clock in step (w32tm /resync): Kerberos refuses more than five minutes'
}
