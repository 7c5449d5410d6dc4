<#
.SYNOPSIS
    Stand-ins for the Windows cmdlets that our scripts use, with a state.
.DESCRIPTION
    A small Windows: processes, scheduled tasks, listening ports, firewall rules
    and who is logged on. A process is there from created until ends, a port from
    the moment it opens. From PowerShell, StandInServer.psm1 sets one up and loads
    this module; then the state is in memory and has a clock of its own, which
    moves when somebody sleeps, by a millisecond with each cmdlet, and by a
    quarter of a second where all processes are told. Other programs put the state into a JSON file, which several PowerShells may share;
    then time is real. What a program does is told by its entry in programs,
    keyed by its path in lower case:

      lives        seconds until it ends by itself; missing: for ever
      delay        seconds until it appears after its start
      port         TCP port that it opens; "config": the last server-port of the
                   config in its arguments
      port_after   seconds until it opens the port
      port_owner   "child" where its child opens the port
      child        path of a program that it starts
      closes       whether it ends when its window is asked to close
      immortal     whether it survives Stop-Process
      hidden       whether its path and command line are not told

    rules holds the firewall's rules by name; desktop what Windows says of a
    player's session (connection, locked), or null, and desktops, which may be
    missing, the same by the number of a Windows session; sunshine its user,
    password, port, apps and calls, or null where nothing answers. A process's
    user is its owner; without it all belong to the state's user.

    Environment, for a state in a file: ORCHESTRATOR_STANDINS_STATE names it,
    ORCHESTRATOR_STANDINS_DRIVE the folder that becomes drive C:.
.OUTPUTS
    None; it exports functions.
.EXAMPLE
    Import-Module ./StandInServer.psm1
#>

$script:StateFile = $env:ORCHESTRATOR_STANDINS_STATE
$script:Scheduler = 900

$script:Memory = $null
$script:Clock = $null

if ($env:ORCHESTRATOR_STANDINS_DRIVE -and -not (Get-PSDrive -Name C -ErrorAction SilentlyContinue)) {
    $null = New-PSDrive -Name C -PSProvider FileSystem -Root $env:ORCHESTRATOR_STANDINS_DRIVE -Scope Global
}

function Initialize-StandInState {
    # From now on the state is this table, and its clock starts at Now.
    param([hashtable] $State, [datetime] $Now)
    $script:Memory = $State
    $script:Clock = $Now.ToUniversalTime().Ticks
}

function Use-State {
    # Runs Body with the state and keeps what it changed; one process at a time.
    param([scriptblock] $Body)
    if ($null -ne $script:Memory) {
        $script:Clock += 10000
        & $Body $script:Memory
        return
    }
    $lock = $null
    while ($null -eq $lock) {
        try { $lock = [System.IO.File]::Open("$script:StateFile.lock", 'OpenOrCreate', 'ReadWrite', 'None') }
        catch [System.IO.IOException] { [System.Threading.Thread]::Sleep(5) }
    }
    try {
        $state = [System.IO.File]::ReadAllText($script:StateFile) | ConvertFrom-Json -AsHashtable
        & $Body $state
        [System.IO.File]::WriteAllText("$script:StateFile.new", (ConvertTo-Json -InputObject $state -Depth 8))
        [System.IO.File]::Move("$script:StateFile.new", $script:StateFile, $true)
    }
    finally { $lock.Dispose() }
}

function Get-Ticks {
    if ($null -ne $script:Clock) { return $script:Clock }
    return [datetime]::UtcNow.Ticks
}

function Get-UtcNowStandIn {
    # What Get-UtcNow of our scripts asks .NET.
    [datetime]::new((Get-Ticks), 'Utc')
}

function Start-Sleep {
    # Only the clock moves, where it is ours.
    [CmdletBinding()]
    param([Parameter(Mandatory)] [int] $Milliseconds)
    if ($null -eq $script:Clock) { Microsoft.PowerShell.Utility\Start-Sleep -Milliseconds $Milliseconds }
    else { $script:Clock += [long]$Milliseconds * 10000 }
}

function Test-Alive {
    param($Process)
    $now = Get-Ticks
    return $Process.created -le $now -and ($null -eq $Process.ends -or $Process.ends -gt $now)
}

function New-Refusal {
    # The error that Windows gives where it denies something.
    param([string] $Command, [string] $Id = 'HRESULT 0x80070005', [string] $Category = 'PermissionDenied', [string] $Message = 'Access is denied.')
    $exception = [System.InvalidOperationException]::new($Message)
    [System.Management.Automation.ErrorRecord]::new($exception, "$Id,$Command", $Category, $null)
}

function Assert-Allowed {
    param($State, [string] $Command)
    $State.calls += $Command
    if ($State.denied -contains $Command) { throw (New-Refusal $Command) }
    if ($Command -like '*-ScheduledTask*' -and $State.denied -contains 'Schedule') {
        throw (New-Refusal $Command 'HRESULT 0x80041315' 'NotSpecified' 'The task scheduler service is not running.')
    }
}

function Get-ConfigValue {
    # The last assignment of a key in the config that arguments name.
    param([string] $Argument, [string] $Key)
    $value = $null
    $path = $Argument.Trim('"')
    foreach ($line in @(Get-Content -LiteralPath $path)) {
        if ($line -match "^\s*$([regex]::Escape($Key))\s*=\s*(.*?)\s*$" -and $Matches[1]) { $value = $Matches[1] }
    }
    return $value
}

function Add-Process {
    # Starts a program; answers its PID.
    param($State, [string] $Path, [string] $Argument, [int] $Parent, [long] $At)
    $program = $State.programs[$Path.ToLowerInvariant()]
    if ($null -eq $program) { $program = @{} }
    if ($program.delay) { $At += [long]($program.delay * 1e7) }
    $id = $State.next_pid
    $State.next_pid += 4
    $ends = $null
    if ($null -ne $program.lives) { $ends = $At + [long]($program.lives * 1e7) }
    $process = @{
        pid = $id; parent = $Parent; path = $Path; name = $Path.Split('\')[-1]; command_line = "`"$Path`" $Argument".Trim()
        session = $State.session; created = $At; ends = $ends; closes = [bool]$program.closes; immortal = [bool]$program.immortal; hidden = [bool]$program.hidden
    }
    $State.processes += $process
    $owner = $id
    $child = $program.child
    if ($child -eq 'config') { $child = Get-ConfigValue $Argument 'game-exe' }
    if ($child) {
        $childId = Add-Process $State $child '' $id ($At + 1000000)
        if ($program.port_owner -eq 'child') { $owner = $childId }
    }
    $port = $program.port
    if ($port -eq 'config') { $port = Get-ConfigValue $Argument 'server-port' }
    if ($port) { $State.listeners += @{ port = [int]$port; pid = $owner; opens = $At + [long]([double]$program.port_after * 1e7) } }
    return $id
}

function Invoke-Program {
    # What a task's action does.
    param($State, $Task)
    $now = Get-Ticks
    if ($Task.execute -eq 'taskkill.exe') {
        foreach ($match in [regex]::Matches($Task.argument, '/PID (\d+)')) {
            $process = $State.processes | Where-Object { $_.pid -eq [int]$match.Groups[1].Value -and (Test-Alive $_) }
            if ($process -and $process.closes) { $process.ends = $now + 3000000 }
        }
        return 0
    }
    if ($Task.execute -eq 'powershell.exe') {
        $id = Add-Process $State $Task.execute $Task.argument $script:Scheduler $now
        $State.processes[-1].ends = $now + 5000000
        $encoded = $Task.argument.Split(' ')[-1]
        $source = [Text.Encoding]::Unicode.GetString([Convert]::FromBase64String($encoded))
        function Start-Process {
            param([string] $FilePath, [string] $WorkingDirectory, [string] $ArgumentList)
            $null = Add-Process $State $FilePath $ArgumentList $id $now
            $State.processes[-1].environment = @{}
            foreach ($one in $start.variables) { $State.processes[-1].environment[$one.name] = [Environment]::GetEnvironmentVariable($one.name) }
        }
        $kept = @{}
        foreach ($entry in [Environment]::GetEnvironmentVariables().GetEnumerator()) { $kept[$entry.Key] = $entry.Value }
        . ([scriptblock]::Create($source))
        foreach ($one in $start.variables) { [Environment]::SetEnvironmentVariable($one.name, $kept[$one.name]) }
        return $id
    }
    return (Add-Process $State $Task.execute $Task.argument $script:Scheduler $now)
}

function New-ScheduledTaskAction {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Execute, [ValidateNotNullOrEmpty()] [string] $Argument, [ValidateNotNullOrEmpty()] [string] $WorkingDirectory)
    [pscustomobject]@{ Execute = $Execute; Arguments = $Argument; WorkingDirectory = $WorkingDirectory }
}

function New-ScheduledTaskPrincipal {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $UserId, [ValidateSet('Interactive')] [string] $LogonType, [ValidateSet('Limited', 'Highest')] [string] $RunLevel)
    [pscustomobject]@{ UserId = $UserId; LogonType = $LogonType; RunLevel = $RunLevel }
}

function New-ScheduledTaskSettingsSet {
    [CmdletBinding()]
    param([int] $Priority = 7, [timespan] $ExecutionTimeLimit = [timespan]::FromDays(3), [string] $MultipleInstances = 'Parallel', [switch] $AllowStartIfOnBatteries, [switch] $DontStopIfGoingOnBatteries, [switch] $DontStopOnIdleEnd)
    [pscustomobject]@{
        Priority = $Priority; ExecutionTimeLimit = [System.Xml.XmlConvert]::ToString($ExecutionTimeLimit); MultipleInstances = $MultipleInstances
        DisallowStartIfOnBatteries = -not $AllowStartIfOnBatteries; StopIfGoingOnBatteries = -not $DontStopIfGoingOnBatteries; StopOnIdleEnd = -not $DontStopOnIdleEnd
    }
}

function Register-ScheduledTask {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $TaskName, [Parameter(Mandatory)] [string] $TaskPath, [Parameter(Mandatory)] $Action, [Parameter(Mandatory)] $Principal, [Parameter(Mandatory)] $Settings)
    Use-State {
        param($state)
        Assert-Allowed $state 'Register-ScheduledTask'
        if ($state.tasks | Where-Object { $_.name -eq $TaskName -and $_.path -eq $TaskPath }) {
            throw (New-Refusal 'Register-ScheduledTask' 'HRESULT 0x800700b7' 'ResourceExists' 'Cannot create a file when that file already exists.')
        }
        $state.tasks += @{
            name = $TaskName; path = $TaskPath; execute = $Action.Execute; argument = $Action.Arguments; directory = $Action.WorkingDirectory
            user = $Principal.UserId; logon = $Principal.LogonType; level = $Principal.RunLevel; settings = $Settings; last_run = $null; pid = 0
        }
    }
}

function Select-Task {
    param($State, [string] $TaskName, [string] $TaskPath, [string] $Command)
    $found = @($State.tasks | Where-Object { $_.path -eq $TaskPath -and (-not $TaskName -or $_.name -eq $TaskName) })
    if ($found.Count -eq 0) {
        throw (New-Refusal $Command 'CmdletizationQuery_NotFound' 'ObjectNotFound' "No MSFT_ScheduledTask objects found with property 'TaskName' equal to '$TaskName'.")
    }
    return $found
}

function Start-ScheduledTask {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $TaskName, [Parameter(Mandatory)] [string] $TaskPath)
    Use-State {
        param($state)
        Assert-Allowed $state 'Start-ScheduledTask'
        foreach ($task in @(Select-Task $state $TaskName $TaskPath 'Start-ScheduledTask')) {
            if ($state.processes | Where-Object { $_.pid -eq $task.pid -and (Test-Alive $_) }) { continue }
            $task.last_run = Get-Ticks
            $task.pid = Invoke-Program $state $task
        }
    }
}

function Get-ScheduledTask {
    [CmdletBinding()]
    param([string] $TaskName, [string] $TaskPath)
    try {
        Use-State {
            param($state)
            Assert-Allowed $state 'Get-ScheduledTask'
            foreach ($task in @(Select-Task $state $TaskName $TaskPath 'Get-ScheduledTask')) {
                $status = 'Ready'
                if ($state.processes | Where-Object { $_.pid -eq $task.pid -and (Test-Alive $_) }) { $status = 'Running' }
                [pscustomobject]@{
                    TaskName = $task.name; TaskPath = $task.path; State = $status
                    Actions = @([pscustomobject]@{ Execute = $task.execute; Arguments = $task.argument; WorkingDirectory = $task.directory })
                    Principal = [pscustomobject]@{ UserId = $task.user; LogonType = $task.logon; RunLevel = $task.level }
                    Settings = $task.settings
                }
            }
        }
    }
    catch { $PSCmdlet.WriteError($_) }
}

function Get-ScheduledTaskInfo {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $TaskName, [Parameter(Mandatory)] [string] $TaskPath)
    Use-State {
        param($state)
        $task = @(Select-Task $state $TaskName $TaskPath 'Get-ScheduledTaskInfo')[0]
        $time = [datetime]::new(1999, 11, 30)
        $result = [uint32]267011
        if ($null -ne $task.last_run) {
            $time = [datetime]::new([long]$task.last_run, 'Utc').ToLocalTime()
            $result = [uint32]0
        }
        [pscustomobject]@{ TaskName = $task.name; LastRunTime = $time; LastTaskResult = $result }
    }
}

function Stop-ScheduledTask {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $TaskName, [Parameter(Mandatory)] [string] $TaskPath)
    Use-State {
        param($state)
        $task = @(Select-Task $state $TaskName $TaskPath 'Stop-ScheduledTask')[0]
        foreach ($process in @($state.processes | Where-Object { $_.pid -eq $task.pid -and (Test-Alive $_) })) { $process.ends = Get-Ticks }
    }
}

function Unregister-ScheduledTask {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
    param([Parameter(Mandatory)] [string] $TaskName, [Parameter(Mandatory)] [string] $TaskPath)
    if (-not $PSCmdlet.ShouldProcess("$TaskPath$TaskName")) { return }
    Use-State {
        param($state)
        Assert-Allowed $state 'Unregister-ScheduledTask'
        $null = Select-Task $state $TaskName $TaskPath 'Unregister-ScheduledTask'
        $state.tasks = @($state.tasks | Where-Object { $_.name -ne $TaskName -or $_.path -ne $TaskPath })
    }
}

function Get-CimInstance {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $ClassName, [string] $Filter)
    Use-State {
        param($state)
        Assert-Allowed $state "Get-CimInstance $ClassName"
        if ($ClassName -eq 'Win32_ComputerSystem') {
            return [pscustomobject]@{ UserName = $state.console_user }
        }
        if ($ClassName -ne 'Win32_Process') { throw (New-Refusal 'Get-CimInstance' 'HRESULT 0x80041010' 'MetadataError' 'Invalid class') }
        foreach ($process in @($state.processes | Where-Object { Test-Alive $_ })) {
            $path = $process.path
            $line = $process.command_line
            if ($process.hidden) { $path = $line = $null }
            [pscustomobject]@{
                ProcessId = [uint32]$process.pid; ParentProcessId = [uint32]$process.parent; Name = $process.name; ExecutablePath = $path
                CommandLine = $line; SessionId = [uint32]$process.session; CreationDate = [datetime]::new([long]$process.created, 'Utc').ToLocalTime()
            }
        }
        if ($null -ne $script:Clock) { $script:Clock += 2500000 }
    }
}

function Invoke-CimMethod {
    [CmdletBinding()]
    param([Parameter(Mandatory)] $InputObject, [Parameter(Mandatory)] [string] $MethodName)
    Use-State {
        param($state)
        Assert-Allowed $state 'Invoke-CimMethod'
        $owner = ($state.processes | Where-Object { $_.pid -eq $InputObject.ProcessId } | Select-Object -First 1).user
        if (-not $owner) { $owner = $state.user }
        if ($MethodName -ne 'GetOwner' -or -not $owner) { return [pscustomobject]@{ ReturnValue = 2 } }
        $domain, $user = $owner.Split('\')
        [pscustomobject]@{ ReturnValue = 0; Domain = $domain; User = $user }
    }
}

function Get-NetTCPConnection {
    [CmdletBinding()]
    param([ValidateSet('Listen')] [string] $State, [int] $LocalPort)
    $found = @(Use-State {
        param($state)
        $now = Get-Ticks
        Assert-Allowed $state 'Get-NetTCPConnection'
        foreach ($listener in @($state.listeners | Where-Object { (-not $LocalPort -or $_.port -eq $LocalPort) -and $_.opens -le $now })) {
            if ($state.processes | Where-Object { $_.pid -eq $listener.pid -and (Test-Alive $_) }) {
                [pscustomobject]@{ LocalAddress = '0.0.0.0'; LocalPort = [uint16]$listener.port; State = 'Listen'; OwningProcess = [uint32]$listener.pid }
            }
        }
    })
    if ($found.Count -eq 0) {
        $PSCmdlet.WriteError((New-Refusal 'Get-NetTCPConnection' 'CmdletizationQuery_NotFound' 'ObjectNotFound' "No MSFT_NetTCPConnection objects found with property 'LocalPort' equal to '$LocalPort'."))
    }
    $found
}

function Stop-Process {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([Parameter(Mandatory)] [int] $Id, [switch] $Force)
    if (-not $PSCmdlet.ShouldProcess("PID $Id")) { return }
    Use-State {
        param($state)
        $state.calls += "Stop-Process $Id"
        $process = $state.processes | Where-Object { $_.pid -eq $Id -and (Test-Alive $_) } | Select-Object -First 1
        if ($null -eq $process) { throw (New-Refusal 'Stop-Process' 'NoProcessFoundForGivenId' 'ObjectNotFound' "Cannot find a process with the process identifier $Id.") }
        if ($process.immortal) { throw (New-Refusal 'Stop-Process' 'CouldNotStopProcess' 'CloseError' "Cannot stop process $Id.") }
        $process.ends = Get-Ticks
    }
}

function New-NetFirewallRule {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Name, [Parameter(Mandatory)] [string] $DisplayName, [string] $Group,
        [ValidateSet('Inbound', 'Outbound')] [string] $Direction = 'Inbound', [ValidateSet('Allow', 'Block')] [string] $Action = 'Allow',
        [string] $Protocol, [string[]] $LocalPort, [string[]] $RemoteAddress, [string] $Profile = 'Any'
    )
    Use-State {
        param($state)
        Assert-Allowed $state 'New-NetFirewallRule'
        if ($state.rules.ContainsKey($Name)) {
            throw (New-Refusal 'New-NetFirewallRule' 'HRESULT 0x800700b7' 'ResourceExists' 'Cannot create a file when that file already exists.')
        }
        $state.rules[$Name] = @{ group = $Group; direction = $Direction; action = $Action; protocol = $Protocol; ports = @($LocalPort); address = @($RemoteAddress); profile = $Profile }
        [pscustomobject]@{ Name = $Name }
    }
}

function Select-Rule {
    param($State, [string] $Name, [string] $Command)
    Assert-Allowed $State $Command
    if (-not $State.rules.ContainsKey($Name)) {
        throw (New-Refusal $Command 'CmdletizationQuery_NotFound' 'ObjectNotFound' "No MSFT_NetFirewallRule objects found with property 'InstanceID' equal to '$Name'.")
    }
}

function Get-NetFirewallRule {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Name)
    try {
        Use-State {
            param($state)
            Select-Rule $state $Name 'Get-NetFirewallRule'
            $rule = $state.rules[$Name]
            [pscustomobject]@{ Name = $Name; Enabled = 'True'; Group = $rule.group; Direction = $rule.direction; Action = $rule.action; Profile = $rule.profile }
        }
    }
    catch { $PSCmdlet.WriteError($_) }
}

function Get-NetFirewallPortFilter {
    [CmdletBinding()]
    param([Parameter(Mandatory, ValueFromPipeline)] $AssociatedNetFirewallRule)
    process {
        Use-State {
            param($state)
            $rule = $state.rules[$AssociatedNetFirewallRule.Name]
            [pscustomobject]@{ Protocol = $rule.protocol; LocalPort = @($rule.ports) }
        }
    }
}

function Get-NetFirewallAddressFilter {
    # Windows tells a network with its mask.
    [CmdletBinding()]
    param([Parameter(Mandatory, ValueFromPipeline)] $AssociatedNetFirewallRule)
    process {
        Use-State {
            param($state)
            $rule = $state.rules[$AssociatedNetFirewallRule.Name]
            [pscustomobject]@{ RemoteAddress = @($rule.address | ForEach-Object { $_ -replace '/24$', '/255.255.255.0' }) }
        }
    }
}

function Remove-NetFirewallRule {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([Parameter(Mandatory)] [string] $Name)
    if (-not $PSCmdlet.ShouldProcess($Name)) { return }
    Use-State {
        param($state)
        Select-Rule $state $Name 'Remove-NetFirewallRule'
        $state.rules.Remove($Name)
    }
}

function Get-DesktopStateStandIn {
    # What Read-DesktopState of our scripts asks Windows.
    param($SessionId)
    Use-State {
        param($state)
        $told = $state.desktop
        if ($state.desktops -and $state.desktops["$SessionId"]) { $told = $state.desktops["$SessionId"] }
        if ($null -eq $told) { return $null }
        [pscustomobject]@{ Connection = $told.connection; IsLocked = $told.locked }
    }
}

class WebFailure : System.Exception {
    [object] $Response
    WebFailure([string] $message, [int] $status) : base($message) { $this.Response = [pscustomobject]@{ StatusCode = $status } }
}

function Invoke-RestMethod {
    # Sunshine's REST interface, as its versions of 2024 and later have it.
    [CmdletBinding()]
    param([Parameter(Mandatory)] [uri] $Uri, [string] $Method = 'Get', [hashtable] $Headers = @{}, [object] $Body, [string] $ContentType, [int] $TimeoutSec, [switch] $UseBasicParsing)
    $json = [string]$Body
    Use-State {
        param($state)
        $sunshine = $state.sunshine
        if ($null -eq $sunshine -or $Uri.Port -ne $sunshine.port + 1) { throw [System.InvalidOperationException]::new('Unable to connect to the remote server') }
        $state.calls += "$($Method.ToUpperInvariant()) $($Uri.AbsolutePath)"
        $basic = 'Basic ' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes("$($sunshine.user):$($sunshine.password)"))
        if ($Headers['Authorization'] -ne $basic) { throw [WebFailure]::new('401 Unauthorized', 401) }
        $path = $Uri.AbsolutePath.Substring(5)
        if ($Method -ne 'Get' -and $ContentType -ne 'application/json') { throw [WebFailure]::new('400 Bad Request', 400) }
        if ($sunshine.token -and $Method -ne 'Get' -and $Headers['X-CSRF-Token'] -ne $sunshine.token) { throw [WebFailure]::new('400 Missing CSRF token', 400) }
        switch -Regex ("$Method $path") {
            '^Get apps$' { return ([pscustomobject]@{ env = [pscustomobject]@{}; apps = [object[]]@($sunshine.apps | ForEach-Object { [pscustomobject]$_ }) }) }
            '^Get csrf-token$' {
                if (-not $sunshine.token) { throw [WebFailure]::new('404 Not Found', 404) }
                return ([pscustomobject]@{ csrf_token = $sunshine.token })
            }
            '^Post apps$' {
                $app = ConvertFrom-Json -InputObject $json -AsHashtable
                if ($app.index -ne -1) { throw [WebFailure]::new('400 Bad Request', 400) }
                $app.Remove('index')
                $sunshine.apps = @(@($sunshine.apps) + $app | Sort-Object -Property { $_.name })
            }
            '^Post apps/close$' {
                foreach ($process in @($state.processes | Where-Object { (Test-Alive $_) -and $_.parent -eq $sunshine.pid })) { $process.ends = Get-Ticks }
            }
            '^Delete apps/(\d+)$' {
                $index = [int]$Matches[1]
                if ($index -ge $sunshine.apps.Count) { throw [WebFailure]::new('400 Bad Request', 400) }
                $sunshine.apps = @(for ($i = 0; $i -lt $sunshine.apps.Count; $i++) { if ($i -ne $index) { $sunshine.apps[$i] } })
            }
            default { throw [WebFailure]::new('404 Not Found', 404) }
        }
        [pscustomobject]@{ status = $true }
    }
}

New-Alias -Name Read-DesktopState -Value Get-DesktopStateStandIn
New-Alias -Name Get-UtcNow -Value Get-UtcNowStandIn
Export-ModuleMember -Alias Read-DesktopState, Get-UtcNow -Function @(
    'Initialize-StandInState', 'Use-State', 'Get-UtcNowStandIn', 'Start-Sleep', 'Get-DesktopStateStandIn', 'Invoke-RestMethod'
    'New-NetFirewallRule', 'Get-NetFirewallRule', 'Remove-NetFirewallRule', 'Get-NetFirewallPortFilter', 'Get-NetFirewallAddressFilter'
    'New-ScheduledTaskAction', 'New-ScheduledTaskPrincipal', 'New-ScheduledTaskSettingsSet', 'Register-ScheduledTask', 'Start-ScheduledTask'
    'Get-ScheduledTask', 'Get-ScheduledTaskInfo', 'Stop-ScheduledTask', 'Unregister-ScheduledTask'
    'Get-CimInstance', 'Invoke-CimMethod', 'Get-NetTCPConnection', 'Stop-Process'
)
