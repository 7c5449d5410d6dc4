<#
.SYNOPSIS
    Starts a game at the player's desktop, or returns the launch it already has.
.DESCRIPTION
    Registers a task named by the session with the interactive token of whoever
    is logged on, starts it, finds the process by image, creation time, command
    line and parent, and waits until it is ready. Registering is the lock: a
    second call for the same session starts nothing, it waits for the first
    one's launch. A failed start ends what it started and removes its task and
    files. Total time is bounded by ReadyTimeoutSec and a few seconds.
.PARAMETER SessionId
    The session's id, letters, digits and hyphens; it names the task.
.PARAMETER Mode
    periodic: the game and GamingAnywhere's capturing server beside it.
    event-driven: GamingAnywhere starts the game and hooks into it.
    process: the game alone.
    sunshine: the game as an app of Sunshine, which starts it when the player's
    client asks for it.
.PARAMETER Executable
    The game's absolute path.
.PARAMETER Arguments
    The game's arguments, one an element, unquoted.
.PARAMETER WorkingDirectory
    Where the game runs; its executable's directory where not given.
.PARAMETER Environment
    Objects with name and value: environment variables for the game only.
.PARAMETER GaDirectory
    GamingAnywhere's bin directory, for periodic and event-driven.
.PARAMETER ConfigPath
    The game's GamingAnywhere config, absolute; a copy with the session's ports
    and log file is made beside it and used instead.
.PARAMETER StreamPort
    TCP port that the stream listens on.
.PARAMETER ControlPort
    GamingAnywhere's control port; 0 leaves the config's own.
.PARAMETER Ready
    port: ready when StreamPort listens. process: when the process has lived
    for two seconds.
.PARAMETER ReadyTimeoutSec
    How long to wait until ready, in seconds.
.PARAMETER Elevated
    Run with the highest privileges that the player's account has.
.PARAMETER PlayerAddress
    The player's IP address: the firewall lets it, and only it, reach the
    session's ports until the session ends. Without it no rule is made.
.PARAMETER AppName
    The app's name in Sunshine, for mode sunshine. An app that is there already
    is used as it is.
.PARAMETER Sunshine
    For mode sunshine: an object with port (Sunshine's base port), user and
    password of its REST interface.
.OUTPUTS
    A dictionary with session_id, pid, created_at, image, companions,
    desktop_user, windows_session, task and stream_port.
.EXAMPLE
    .\Start-Game.ps1 -SessionId 0b7c4d1e -Mode process -Executable C:\Games\Neverball\neverball.exe -Ready process
#>
# Needs: Common.ps1
# Needs: Process.ps1
# Needs: Firewall.ps1
# Needs: Session.ps1
# Needs: Desktop.ps1
# Needs: Launch.ps1
# Needs: Order.ps1
# Needs: Start.ps1
# Needs: Sunshine.ps1
# Needs: SunshineStart.ps1
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [Parameter(Mandatory = $true)]
    [ValidatePattern('^[A-Za-z0-9-]{1,64}$')]
    [string] $SessionId,

    [Parameter(Mandatory = $true)]
    [ValidateSet('periodic', 'event-driven', 'process', 'sunshine')]
    [string] $Mode,

    [Parameter(Mandatory = $true)]
    [string] $Executable,

    [string[]] $Arguments = @(),

    [string] $WorkingDirectory,

    [object[]] $Environment = @(),

    [string] $GaDirectory,

    [string] $ConfigPath,

    [ValidateRange(0, 65535)]
    [int] $StreamPort = 0,

    [ValidateRange(0, 65535)]
    [int] $ControlPort = 0,

    [ValidateSet('port', 'process')]
    [string] $Ready = 'port',

    [ValidateRange(1, 3600)]
    [int] $ReadyTimeoutSec = 60,

    [bool] $Elevated = $false,

    [string] $PlayerAddress,

    [string] $AppName,

    [object] $Sunshine
)

$order = [pscustomobject]@{
    SessionId     = $SessionId
    Mode          = $Mode
    Executable    = ConvertTo-WindowsPath $Executable
    Arguments     = @($Arguments)
    Directory     = ConvertTo-WindowsPath $WorkingDirectory
    Environment   = @($Environment)
    GaDirectory   = ConvertTo-WindowsPath $GaDirectory
    ConfigPath    = ConvertTo-WindowsPath $ConfigPath
    StreamPort    = $StreamPort
    ControlPort   = $ControlPort
    Ready         = $Ready
    Elevated      = $Elevated
    PlayerAddress = ([string]$PlayerAddress).Trim()
    AppName       = $AppName
    Sunshine      = $Sunshine
    Deadline      = (Get-UtcNow).AddSeconds($ReadyTimeoutSec)
    Warnings      = New-Object System.Collections.ArrayList
}
Assert-Order $order

$task = Get-SessionTask $SessionId | Select-Object -First 1
if ($null -ne $task -and $Mode -eq 'sunshine') { return (Resume-Sunshine $order $task) }
if ($null -ne $task) { return (Resume-Launch $order) }

Assert-File $order
$snapshot = @(Get-ProcessSnapshot)
$desktop = Find-Desktop $snapshot
if ($Mode -eq 'sunshine') { return (Start-Sunshine $order $desktop $snapshot) }
Assert-PortFree $order $snapshot
$record = New-LaunchRecord $order $desktop
if (-not $PSCmdlet.ShouldProcess("$TaskFolder$SessionId", "Start $($order.Executable)")) {
    return (Format-Launch $order $record $false)
}
return (Start-Launch $order $record)
