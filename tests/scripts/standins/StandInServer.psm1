<#
.SYNOPSIS
    A game server of stand-ins, set up and looked at from PowerShell.
.DESCRIPTION
    The one module to import. It loads the stand-ins for the cmdlets of Windows
    (WindowsStandIns.psm1 and AdminStandIns.psm1) into the session, gives them a
    server in memory, and runs our scripts on it as the broker does: through
    Bootstrap.ps1, with parameters that went through JSON.

    Drive C: is a folder of the temporary directory, so that Get-Content,
    Test-Path and Set-Content work on the server's files, and Get-ScheduledTask,
    Get-NetFirewallRule and their like tell what is on it. The server's clock is
    its own: a script that sleeps moves it and nobody waits. Everything is gone
    with Remove-StandInServer, the stand-ins themselves too.

    Not for Windows, where C: and the cmdlets are real.
.OUTPUTS
    None; it exports functions.
.EXAMPLE
    Import-Module ./StandInServer.psm1
    New-StandInServer
    Add-StandInProgram -Path C:\Games\chess.exe -Behaviour @{ closes = $true }
    $launch = Invoke-RuntimeScript Start-Game @{ SessionId = 's-1'; Mode = 'process'; Ready = 'process'; Executable = 'C:\Games\chess.exe' }
    Get-StandInProcess chess.exe
    Remove-StandInServer
#>

$script:Folder = $null
$script:Scripts = [System.IO.Path]::GetFullPath("$PSScriptRoot/../../../scripts/powershell")
$script:Kept = @{}

function New-StandInServer {
    <#
    .SYNOPSIS
        Puts up a new server in place of the one before.
    .DESCRIPTION
        GAME01, with GAME01\player logged on at the console in Windows session 1
        and nothing else on it: no game, no task, no rule. WinRM is off, as on a
        Windows fresh from its installation. Its clock stands at Now.
    #>
    [CmdletBinding()]
    param([datetime] $Now = [datetime]::new(2026, 3, 2, 10, 0, 0, [System.DateTimeKind]::Utc))
    if ($env:OS -eq 'Windows_NT') { throw 'the stand-ins take the place of drive C: and of cmdlets that are real here: use them where there is no Windows' }
    if (-not $script:Folder) { Initialize-Session }
    Microsoft.PowerShell.Management\Remove-Item -LiteralPath "$script:Folder/c" -Recurse -Force -ErrorAction Ignore
    $null = New-Item -ItemType Directory -Path "$script:Folder/c" -Force
    Initialize-StandInState -Now $Now -State @{
        user = 'GAME01\player'; console_user = 'GAME01\player'; session = 1; next_pid = 4000; programs = @{}; processes = @(); tasks = @()
        listeners = @(); rules = @{}; desktop = $null; desktops = @{}; sunshine = $null; denied = @(); calls = @()
    }
    Initialize-AdminState -State (New-AdminState)
    $null = Add-StandInProcess -Path 'C:\Windows\System32\svchost.exe' -Session 0 -Id 900
    $null = Add-StandInProcess -Path 'C:\Windows\explorer.exe' -Id 1200
}

function Initialize-Session {
    # The stand-ins, drive C: and the names that Windows has in its environment.
    $script:Folder = [System.IO.Path]::Combine([System.IO.Path]::GetTempPath(), "standins-$([guid]::NewGuid().ToString('N'))")
    $null = New-Item -ItemType Directory -Path "$script:Folder/c"
    $null = New-PSDrive -Name C -PSProvider FileSystem -Root "$script:Folder/c" -Scope Global
    foreach ($name in 'WindowsStandIns', 'AdminStandIns') { Import-Module "$PSScriptRoot/$name.psm1" -Global -Force }
    $windows = @{ COMPUTERNAME = 'GAME01'; USERNAME = 'broker'; USERDOMAIN = 'GAME01'; ProgramData = 'C:\ProgramData' }
    foreach ($name in $windows.Keys) {
        $script:Kept[$name] = [Environment]::GetEnvironmentVariable($name)
        [Environment]::SetEnvironmentVariable($name, $windows[$name])
    }
}

function New-AdminState {
    # What an administrator finds on a fresh Windows Server 2022.
    return @{
        elevated = $true; service = 'Manual/Stopped'; listeners = @(); certificates = @(); users = @(); registry = @{ EnableLUA = 1 }; denied = @(); calls = @()
        winrm = @{
            'winrm/config' = @{ MaxEnvelopeSizekb = '500' }
            'winrm/config/service' = @{ MaxConcurrentOperationsPerUser = '1500'; AllowUnencrypted = 'false' }
            'winrm/config/winrs' = @{ MaxShellsPerUser = '5'; MaxProcessesPerShell = '25'; MaxMemoryPerShellMB = '2048' }
        }
        members = @{ 'S-1-5-32-544' = @('Administrator'); 'S-1-5-32-558' = @(); 'S-1-5-32-580' = @() }
        sddl = 'O:BAG:BAD:AR(A;CI;CCDCLCSWRPWPRCWD;;;BA)(A;CI;CCDCRP;;;AU)'
        classes = @{
            Win32_OperatingSystem = @(@{ Caption = 'Windows Server 2022'; BuildNumber = '20348' })
            Win32_LogicalDisk = @(@{ DeviceID = 'C:'; FreeSpace = 128849018880 })
            Win32_PerfFormattedData_PerfOS_Processor = @(@{ Name = '_Total'; PercentProcessorTime = 7 })
            Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine = @(@{ Name = 'pid_1' })
        }
    }
}

function Remove-StandInServer {
    <#
    .SYNOPSIS
        Takes the server down, and all that this module put into the session.
    #>
    [CmdletBinding()]
    param()
    if (-not $script:Folder) { return }
    Remove-Module -Name AdminStandIns, WindowsStandIns -Force
    Remove-PSDrive -Name C -Scope Global -Force
    Remove-Item -LiteralPath $script:Folder -Recurse -Force
    foreach ($name in $script:Kept.Keys) { [Environment]::SetEnvironmentVariable($name, $script:Kept[$name]) }
    $script:Folder = $null
}

function Invoke-RuntimeScript {
    <#
    .SYNOPSIS
        Runs one of our scripts on the server, as the broker does.
    .DESCRIPTION
        Answers its data, with changed and warnings beside them; times come as
        DateTime. Where the script fails, throws an error whose id is the code
        of docs/scripts.md.
    .PARAMETER Name
        The script: Start-Game.
    .PARAMETER Parameter
        What the broker would send; it goes through JSON.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory, Position = 0)] [string] $Name, [Parameter(Position = 1)] [hashtable] $Parameter = @{})
    $text = [System.IO.File]::ReadAllText("$script:Scripts/$Name.ps1")
    $modules = @([regex]::Matches($text, '(?m)^# Needs: (\S+)') | ForEach-Object { [System.IO.File]::ReadAllText("$script:Scripts/$($_.Groups[1].Value)") })
    $call = ConvertTo-Json -Depth 8 -Compress -InputObject @{ name = $Name; script = $text; params = $Parameter; modules = $modules }
    $answer = ConvertFrom-Json -InputObject (Invoke-Bootstrap ([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($call))))
    if (-not $answer.ok) {
        $exception = [System.InvalidOperationException]::new($answer.error.message)
        throw [System.Management.Automation.ErrorRecord]::new($exception, $answer.error.code, 'NotSpecified', $answer.error)
    }
    $answer.data | Add-Member -NotePropertyMembers ([ordered]@{ changed = $answer.changed; warnings = $answer.warnings }) -PassThru
}

function Invoke-Bootstrap {
    # The last line that the bootstrap writes; only its exit is left out.
    param([string] $StandInCall)
    $source = [System.IO.File]::ReadAllText("$script:Scripts/Bootstrap.ps1")
    $last = 'exit [int](-not $answer.ok)'
    if (-not $source.Contains($last)) { throw "Bootstrap.ps1 does not end by '$last'" }
    $output = [System.IO.StringWriter]::new()
    $before = @([Console]::In, [Console]::Out, $global:ErrorActionPreference)
    try {
        [Console]::SetIn([System.IO.StringReader]::new($StandInCall))
        [Console]::SetOut($output)
        # The bootstrap runs at the top of its process, where modules see it.
        $global:ErrorActionPreference = 'Stop'
        $null = & ([scriptblock]::Create($source.Replace($last, '')))
    }
    finally {
        [Console]::SetIn($before[0])
        [Console]::SetOut($before[1])
        $global:ErrorActionPreference = $before[2]
    }
    return @($output.ToString().Trim() -split "`n")[-1]
}

function Add-StandInFile {
    <#
    .SYNOPSIS
        Puts a file on drive C:, with its folders; text is UTF-8.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Path, [string] $Content = '', [byte[]] $Bytes)
    $file = "$script:Folder/c/" + $Path.Substring(3).Replace('\', '/')
    $null = [System.IO.Directory]::CreateDirectory([System.IO.Path]::GetDirectoryName($file))
    if ($null -eq $Bytes) { $Bytes = [System.Text.Encoding]::UTF8.GetBytes($Content) }
    [System.IO.File]::WriteAllBytes($file, $Bytes)
}

function Get-StandInFile {
    <#
    .SYNOPSIS
        Paths of the files on drive C: but programs, sorted.
    #>
    [CmdletBinding()]
    param()
    $root = "$script:Folder/c"
    $files = [System.IO.Directory]::GetFiles($root, '*', 'AllDirectories') | Where-Object { $_ -notlike '*.exe' } | Sort-Object
    foreach ($file in $files) { 'C:' + $file.Substring($root.Length).Replace('/', '\') }
}

function Add-StandInProgram {
    <#
    .SYNOPSIS
        Puts an executable on drive C: and tells what it does when it is started.
    .PARAMETER Behaviour
        lives, delay, port, port_after, port_owner, child, closes, immortal and
        hidden, as the head of WindowsStandIns.psm1 describes them.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Path, [hashtable] $Behaviour = @{})
    Add-StandInFile -Path $Path -Content 'MZ'
    Use-State { param($state) $state.programs[$Path.ToLowerInvariant()] = $Behaviour }
}

function Add-StandInProcess {
    <#
    .SYNOPSIS
        A process that runs already; answers its PID.
    .PARAMETER AgeSec
        For how long it has run.
    .PARAMETER User
        Its owner, DOMAIN\name; without it the player.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Path, [int] $Id, [int] $Parent = 4, [int] $Session = 1, [double] $AgeSec = 3600,
        [string] $User, [string] $CommandLine = "`"$Path`""
    )
    Use-State {
        param($state)
        $number = $Id
        if (-not $number) {
            $number = $state.next_pid
            $state.next_pid += 4
        }
        $state.processes += @{
            pid = $number; parent = $Parent; path = $Path; name = $Path.Split('\')[-1]; command_line = $CommandLine; session = $Session
            created = (Get-UtcNowStandIn).Ticks - [long]($AgeSec * 1e7); ends = $null; closes = $false; immortal = $false; hidden = $false; user = $User
        }
        $number
    }
}

function Get-StandInProcess {
    <#
    .SYNOPSIS
        The processes of one image's name that live now, as Win32_Process has them.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory, Position = 0)] [string] $Name)
    $now = (Get-UtcNowStandIn).Ticks
    foreach ($process in (Get-StandInState).processes) {
        if ($process.name -ne $Name -or $process.created -gt $now -or ($null -ne $process.ends -and $process.ends -le $now)) { continue }
        [pscustomobject]@{
            ProcessId = $process.pid; ParentProcessId = $process.parent; Name = $process.name; ExecutablePath = $process.path; CommandLine = $process.command_line
            SessionId = $process.session; CreationDate = [datetime]::new([long]$process.created, 'Utc').ToLocalTime(); Environment = $process.environment
        }
    }
}

function Stop-StandInProcess {
    <#
    .SYNOPSIS
        Lets a process end by itself.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory, ValueFromPipelineByPropertyName)] [Alias('ProcessId')] [int] $Id)
    process {
        Use-State {
            param($state)
            foreach ($process in @($state.processes | Where-Object { $_.pid -eq $Id -and $null -eq $_.ends })) { $process.ends = (Get-UtcNowStandIn).Ticks }
        }
    }
}

function Switch-StandInProcess {
    <#
    .SYNOPSIS
        Gives a PID to another process: Windows uses the numbers of ended ones again.
    .PARAMETER Path
        What runs under that PID now; without it the same program.
    .PARAMETER LaterSec
        How much later than the one before it was created.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] [int] $Id, [string] $Path, [double] $LaterSec = 0)
    Use-State {
        param($state)
        $process = $state.processes | Where-Object { $_.pid -eq $Id } | Select-Object -Last 1
        $process.created += [long]($LaterSec * 1e7)
        if ($Path) {
            $process.path = $Path
            $process.name = $Path.Split('\')[-1]
            $process.command_line = "`"$Path`""
        }
    }
}

function Open-StandInPort {
    <#
    .SYNOPSIS
        Lets a process listen on a TCP port.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] [int] $Port, [Parameter(Mandatory)] [int] $ProcessId)
    Use-State { param($state) $state.listeners += @{ port = $Port; pid = $ProcessId; opens = 0 } }
}

function Set-StandInDesktop {
    <#
    .SYNOPSIS
        What is so at the desktop: Nobody, or what Windows says of it.
    .PARAMETER Session
        The Windows session; without it every one.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory, Position = 0)] [ValidateSet('Nobody', 'Active', 'Locked', 'Disconnected')] [string] $State, [int] $Session)
    Use-State {
        param($server)
        if ($State -eq 'Nobody') {
            $server.processes = @($server.processes | Where-Object { $_.name -ne 'explorer.exe' })
            $server.user = $server.console_user = $null
            return
        }
        $connection = 'active'
        if ($State -eq 'Disconnected') { $connection = 'disconnected' }
        $told = @{ connection = $connection; locked = $State -eq 'Locked' }
        if ($Session) { $server.desktops["$Session"] = $told }
        else { $server.desktop = $told }
    }
}

function Start-StandInSunshine {
    <#
    .SYNOPSIS
        Lets Sunshine run, with an app of its own, and answer on the port after its
        base port; answers its PID. Started again it keeps its apps.
    #>
    [CmdletBinding()]
    param([string] $User = 'sun', [string] $Password = 'moon', [int] $Port = 47989, [string] $Token = 't0ken')
    $id = Add-StandInProcess -Path 'C:\Program Files\Sunshine\sunshine.exe' -Session 1 -AgeSec 0
    Use-State {
        param($state)
        $apps = @(@{ name = 'Desktop' })
        if ($null -ne $state.sunshine) { $apps = $state.sunshine.apps }
        $state.sunshine = @{ user = $User; password = $Password; port = $Port; pid = $id; apps = $apps; token = $Token }
        $state.listeners = @($state.listeners | Where-Object { $_.port -ne $Port + 1 }) + @{ port = $Port + 1; pid = $id; opens = 0 }
    }
    $id
}

function Deny-StandInCommand {
    <#
    .SYNOPSIS
        Lets Windows deny commands: Register-ScheduledTask, 'Get-CimInstance Win32_Process'.
        Schedule, the service's name, is a task scheduler that does not run.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory, Position = 0)] [string[]] $Name)
    Use-State { param($state) $state.denied += $Name }
    (Read-Admin).denied += $Name
}

function Step-StandInClock {
    <#
    .SYNOPSIS
        Lets time pass.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory, Position = 0)] [double] $Seconds)
    Start-Sleep -Milliseconds ([int]($Seconds * 1000))
}

function Get-StandInState {
    <#
    .SYNOPSIS
        All that the server is: the table that WindowsStandIns.psm1 describes, to
        look at and to change. calls has the commands that were used, in their order.
    #>
    [CmdletBinding()]
    param()
    Use-State { param($state) $state }
}

function Get-StandInSetup {
    <#
    .SYNOPSIS
        What an administrator sets up: the table that AdminStandIns.psm1 describes,
        to look at and to change.
    #>
    [CmdletBinding()]
    param()
    Read-Admin
}

Export-ModuleMember -Function @(
    'New-StandInServer', 'Remove-StandInServer', 'Invoke-RuntimeScript', 'Add-StandInFile', 'Get-StandInFile', 'Add-StandInProgram'
    'Add-StandInProcess', 'Get-StandInProcess', 'Stop-StandInProcess', 'Switch-StandInProcess', 'Open-StandInPort', 'Set-StandInDesktop'
    'Start-StandInSunshine', 'Deny-StandInCommand', 'Step-StandInClock', 'Get-StandInState', 'Get-StandInSetup'
)
