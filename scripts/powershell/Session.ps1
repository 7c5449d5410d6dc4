<#
.SYNOPSIS
    What a session has on a server: tasks, record, config copy, log, rules.
.DESCRIPTION
    Needs Common.ps1, Process.ps1 and Firewall.ps1. A session's main task is
    \Orchestrator\<session id>; helpers have the same name with a dot and a
    word after it. Its record is <session id>.json under Orchestrator in the
    program data folder: what was expected before the start and what was found
    after it. The record makes things surer, but nothing depends on it.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Session.ps1
#>
#Requires -Version 5.1

$TaskFolder = '\Orchestrator\'
$SunshineMarker = '/c rem sunshine'

function Get-SessionTask {
    # One of our tasks by name, or null; without a name all of them.
    param([string] $Name)
    $query = @{ TaskPath = $TaskFolder }
    if ($Name) { $query['TaskName'] = $Name }
    $problems = @()
    $tasks = @()
    try { $tasks = @(Get-ScheduledTask @query -ErrorAction SilentlyContinue -ErrorVariable problems) }
    catch { $problems = @($_) }
    foreach ($problem in $problems) {
        if ($problem -isnot [System.Management.Automation.ErrorRecord]) { continue }
        if (Test-AccessDenied $problem) {
            throw (New-Failure 'access_denied' "Windows does not let this account read scheduled tasks: $($problem.Exception.Message)")
        }
        # What the service itself answers carries an HRESULT; that there is no
        # such task does not. A scheduler that is away is not one without tasks.
        if ([string]$problem.FullyQualifiedErrorId -match '^HRESULT 0x(?!80070002|80070003|80041002)') {
            throw (New-Failure 'task_refused' "the task scheduler does not answer: $($problem.Exception.Message)")
        }
    }
    return $tasks | Where-Object { $null -ne $_ }
}

function Get-TaskState {
    # Running, Queued, Ready, Disabled, or empty where Windows does not tell.
    param([object] $Task)
    $names = @{ '1' = 'Disabled'; '2' = 'Queued'; '3' = 'Ready'; '4' = 'Running' }
    $state = [string](Get-OptionalProperty $Task 'State' '')
    if ($names.ContainsKey($state)) { return $names[$state] }
    return $state
}

function Get-TaskResult {
    # A task's last result in words, for an error's message; may be empty.
    param([string] $Name)
    try { $info = Get-ScheduledTaskInfo -TaskName $Name -TaskPath $TaskFolder -ErrorAction Stop }
    catch { return '' }
    $result = Get-OptionalProperty $info 'LastTaskResult'
    if ($null -eq $result) { return '' }
    $known = @{
        '0x00041301' = 'it is still running'
        '0x00041303' = 'it has not run yet'
        '0x80070002' = 'a file was not found'
        '0x80070005' = 'access was denied'
        '0x800702E4' = 'the program asks for the highest privileges: set elevated'
    }
    $code = '0x{0:X8}' -f ([long]$result -band 4294967295)
    if ($known.ContainsKey($code)) { return "the task's last result is $code, $($known[$code])" }
    return "the task's last result is $code"
}

function Register-SessionTask {
    # Registers a task that runs a program at the player's desktop. False where
    # a task of that name is there already: registering is the lock between two
    # starts of one session.
    param([string] $Name, [string] $Execute, [string] $Argument, [string] $WorkingDirectory, [string] $UserId, [bool] $Elevated)
    $run = @{ Execute = $Execute }
    if ($Argument) { $run['Argument'] = $Argument }
    if ($WorkingDirectory) { $run['WorkingDirectory'] = $WorkingDirectory }
    $level = 'Limited'
    if ($Elevated) { $level = 'Highest' }
    try {
        $task = @{
            TaskName  = $Name
            TaskPath  = $TaskFolder
            Action    = New-ScheduledTaskAction @run
            Principal = New-ScheduledTaskPrincipal -UserId $UserId -LogonType Interactive -RunLevel $level
            Settings  = New-ScheduledTaskSettingsSet -Priority 4 -ExecutionTimeLimit ([timespan]::Zero) -MultipleInstances IgnoreNew -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -DontStopOnIdleEnd
        }
        $null = Register-ScheduledTask @task -ErrorAction Stop
        return $true
    }
    catch {
        $problem = $_
        if (@(Get-SessionTask $Name).Count -gt 0) { return $false }
        throw (New-Failure 'task_refused' "the task $TaskFolder$Name for $UserId could not be registered: $($problem.Exception.Message)")
    }
}

function Start-SessionTask {
    # Starts one of our tasks.
    param([string] $Name)
    try { $null = Start-ScheduledTask -TaskName $Name -TaskPath $TaskFolder -ErrorAction Stop }
    catch { throw (New-Failure 'task_refused' "the task $TaskFolder$Name could not be started: $($_.Exception.Message)") }
}

function Remove-SessionTask {
    # Unregisters a task where it is there; answers whether it was. IsStopped:
    # ends what it runs, too, for which its process must not be known.
    param([string] $Name, [bool] $IsStopped)
    $task = @(Get-SessionTask $Name)
    if ($task.Count -eq 0) { return $false }
    if ($IsStopped -and (Get-TaskState $task[0]) -eq 'Running') {
        try { $null = Stop-ScheduledTask -TaskName $Name -TaskPath $TaskFolder -ErrorAction Stop }
        catch { Write-Verbose "task ${Name}: $($_.Exception.Message)" }
    }
    try { $null = Unregister-ScheduledTask -TaskName $Name -TaskPath $TaskFolder -Confirm:$false -ErrorAction Stop }
    catch { if (@(Get-SessionTask $Name).Count -gt 0) { throw } }
    return $true
}

function Get-RecordFolder {
    # Where records and logs are.
    $root = [string]$env:ProgramData
    if (-not (Test-AbsolutePath $root)) { $root = 'C:\ProgramData' }
    return (Join-WindowsPath $root 'Orchestrator')
}

function Get-SessionFile {
    # Path of a session's file in the record folder.
    param([string] $SessionId, [string] $Extension)
    return (Join-WindowsPath (Get-RecordFolder) "$SessionId.$Extension")
}

function Write-Record {
    # Keeps a session's record. Answers why not, or nothing.
    param([object] $Record)
    $plain = [ordered]@{}
    foreach ($property in $Record.PSObject.Properties) { $plain[$property.Name] = $property.Value }
    foreach ($name in @('started_at', 'found_at', 'ready_by')) { $plain[$name] = Format-UtcTime $plain[$name] }
    if ($null -ne $plain.launch) { $plain.launch = Format-Identity $plain.launch }
    foreach ($name in @('companions', 'known')) {
        $plain[$name] = [object[]]@(foreach ($identity in $plain[$name]) {
            $text = Format-Identity $identity
            $text['seen_at'] = Format-UtcTime $identity.Seen
            $text
        })
    }
    try {
        $null = New-Item -ItemType Directory -Path (Get-RecordFolder) -Force -ErrorAction Stop
        $path = Get-SessionFile $Record.session_id 'json'
        Set-Content -LiteralPath $path -Value (ConvertTo-AsciiJson $plain) -Encoding ASCII -ErrorAction Stop
    }
    catch { return "the session's record could not be written: $($_.Exception.Message)" }
}

function Read-Record {
    # A session's record with its times and identities, or null where there is none.
    param([string] $SessionId)
    $path = Get-SessionFile $SessionId 'json'
    foreach ($attempt in 1..3) {
        try {
            if (-not (Test-Path -LiteralPath $path)) { return $null }
            $text = @(Get-Content -LiteralPath $path -Encoding ASCII -ErrorAction Stop) -join ''
            return (ConvertTo-Record (ConvertFrom-Json -InputObject $text))
        }
        catch { Start-Sleep -Milliseconds 100 }
    }
    return $null
}

function ConvertTo-Record {
    # A record as the scripts use it, from its JSON; what is missing is filled in.
    param([object] $Json)
    $record = New-Record ([string](Get-OptionalProperty $Json 'session_id' ''))
    foreach ($name in @($record.PSObject.Properties | ForEach-Object { $_.Name })) {
        $value = Get-OptionalProperty $Json $name
        if ($null -eq $value) { continue }
        if ($name -eq 'launch') { $value = ConvertTo-Identity $value }
        elseif ($name -eq 'companions' -or $name -eq 'known') { $value = [object[]]@($value | ForEach-Object { ConvertTo-Identity $_ }) }
        elseif ($name -eq 'started_at' -or $name -eq 'found_at' -or $name -eq 'ready_by') { $value = ConvertTo-UtcTime $value }
        elseif ($name -eq 'before') { $value = [object[]]@($value) }
        $record.$name = $value
    }
    return $record
}

function ConvertTo-Identity {
    # An identity from its JSON.
    param([object] $Json)
    $seen = ConvertTo-UtcTime (Get-OptionalProperty $Json 'seen_at')
    if ($null -eq $seen) { $seen = [datetime]::MinValue }
    [pscustomobject]@{
        Id      = [int](Get-OptionalProperty $Json 'pid' 0)
        Created = ConvertTo-UtcTime (Get-OptionalProperty $Json 'created_at')
        Image   = [string](Get-OptionalProperty $Json 'image' '')
        Seen    = $seen
    }
}

function New-Record {
    # An empty record. phase is starting or running; program is the file that
    # the main task runs, and marker what its command line holds of ours.
    param([string] $SessionId)
    [pscustomobject]@{
        session_id      = $SessionId
        phase           = 'starting'
        mode            = 'process'
        program         = ''
        marker          = ''
        game            = ''
        config          = ''
        ready           = 'process'
        stream_port     = 0
        desktop_user    = ''
        windows_session = $null
        elevated        = $false
        started_at      = $null
        found_at        = $null
        ready_by        = $null
        before          = [object[]]@()
        known           = [object[]]@()
        launch          = $null
        companions      = [object[]]@()
        has_rule        = $false
    }
}

function Get-OtherSessionKey {
    # Keys of the processes that other sessions' records claim.
    param([string] $SessionId)
    $folder = Get-RecordFolder
    if (-not (Test-Path -LiteralPath $folder)) { return }
    foreach ($file in @(Get-ChildItem -LiteralPath $folder -Filter '*.json' -ErrorAction SilentlyContinue)) {
        $other = $file.Name -replace '\.json$', ''
        if ($other -eq $SessionId) { continue }
        $record = Read-Record $other
        if ($null -eq $record) { continue }
        foreach ($identity in @($record.launch) + $record.companions + $record.known) {
            if ($null -ne $identity) { Get-ProcessKey $identity }
        }
    }
}

function Get-SessionConfigPath {
    # The per-session copy of a config stands beside it, because includes are
    # relative to the file that includes.
    param([string] $ConfigPath, [string] $SessionId)
    $stem = (Get-LeafName $ConfigPath) -replace '\.[^.]*$', ''
    return (Join-WindowsPath (Get-ParentPath $ConfigPath) "$stem.$SessionId.conf")
}

function Get-ConfigValue {
    # The last value of a key in a GamingAnywhere config, includes taken in
    # place, or empty. A comment ends a value, // only where it is the value's
    # first slash; a value that begins with [ is none.
    param([string] $Config, [string] $Key, [int] $Depth = 0)
    $value = ''
    if (-not $Config -or $Depth -gt 8 -or -not (Test-Path -LiteralPath $Config -PathType Leaf)) { return $value }
    foreach ($line in @(Get-Content -LiteralPath $Config)) {
        if ($line -notmatch '^\s*([^#;=\s]+)\s*=\s*([^#;]*?)\s*(?:[#;].*)?$') { continue }
        $name, $text = $Matches[1], ($Matches[2] -replace '^([^/]*?)\s*//.*$', '$1')
        if ($text.StartsWith('[')) { continue }
        if ($name -ceq $Key -and $text) { $value = $text }
        elseif ($name -ceq 'include' -and $text) {
            $file = $text.Replace('/', '\')
            if (-not (Test-AbsolutePath $file)) { $file = Join-WindowsPath (Get-ParentPath $Config) $file }
            $inner = Get-ConfigValue $file $Key ($Depth + 1)
            if ($inner) { $value = $inner }
        }
    }
    return $value
}

function Remove-SessionFile {
    # Removes a session's record, log and config copy. Answers what could not be.
    param([string] $SessionId, [string] $Config)
    foreach ($path in @((Get-SessionFile $SessionId 'json'), (Get-SessionFile $SessionId 'log'), $Config)) {
        if (-not $path) { continue }
        try {
            if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path -Force -ErrorAction Stop }
        }
        catch { "$path could not be removed: $($_.Exception.Message)" }
    }
}

function Remove-SessionTrace {
    # Removes a session's rules, files and tasks, the main task last because it
    # is the lock. Answers whether a task was there (Removed) and what is left
    # (Warnings).
    param([string] $SessionId, [object] $Record, [bool] $IsStopped)
    $removed = $false
    $config = ''
    if ($null -ne $Record) { $config = $Record.config }
    $warnings = @()
    if ($null -eq $Record -or $Record.has_rule) { $warnings += @(Remove-PlayerRule $SessionId) }
    foreach ($name in @("$SessionId.close", "$SessionId.game", $SessionId)) {
        if ($name -eq $SessionId) { $warnings += @(Remove-SessionFile $SessionId $config) }
        try { $removed = (Remove-SessionTask $name $IsStopped) -or $removed }
        catch { $warnings += "the task $TaskFolder$name could not be removed: $($_.Exception.Message)" }
    }
    return [pscustomobject]@{ Removed = $removed; Warnings = $warnings }
}
