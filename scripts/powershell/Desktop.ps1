<#
.SYNOPSIS
    Who is at the desktop, and whether a game could be played there.
.DESCRIPTION
    Needs Common.ps1 and Process.ps1. Explorer's owner and Windows session tell
    the desktops. Windows itself tells whether one is locked or its remote
    desktop went away; where it does not, LogonUI.exe in that session counts as
    locked, which is also what a disconnected session looks like.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Desktop.ps1
#>
#Requires -Version 5.1

function Find-Desktop {
    # Who is at the desktop: User (DOMAIN\name) and SessionId (or null). Of
    # several one that can be played at, the console's before a remote one.
    # Throws where nobody is there, or everyone's is locked or gone.
    param([object[]] $Snapshot)
    $desktops = @(Get-Desktop $Snapshot)
    if ($desktops.Count -eq 0) {
        throw (New-Failure 'desktop_missing' "nobody is logged on at the desktop: log the player's account on, or set up autologon")
    }
    $reason = $null
    foreach ($desktop in $desktops) {
        $problem = Get-DesktopProblem $desktop $Snapshot
        if ($null -eq $problem) { return $desktop }
        if ($null -eq $reason) { $reason = $problem }
    }
    throw $reason
}

function Get-Desktop {
    # Every desktop with somebody at it, the one to prefer first.
    # Win32_ComputerSystem helps where Explorer is not the shell.
    param([object[]] $Snapshot)
    $console = Get-ConsoleUser
    $desktops = @(foreach ($shell in $Snapshot) {
        if ($shell.Name -ne 'explorer.exe' -or [string]$shell.SessionId -eq '0') { continue }
        [pscustomobject]@{ User = Get-ProcessOwner $shell; SessionId = $shell.SessionId }
    })
    $found = @($desktops | Where-Object { $_.User -and $_.User -eq $console }) +
        @($desktops | Where-Object { $_.User -and $_.User -ne $console } | Sort-Object -Property SessionId)
    if ($found.Count -eq 0 -and $console) {
        $found = @($desktops | ForEach-Object { [pscustomobject]@{ User = $console; SessionId = $_.SessionId } })
    }
    if ($found.Count -eq 0 -and $console) { $found = @([pscustomobject]@{ User = $console; SessionId = $null }) }
    return $found
}

function Get-ConsoleUser {
    # Who is logged on at the console, or empty; a remote user is not told.
    try { return [string](Get-OptionalProperty (Get-CimInstance -ClassName Win32_ComputerSystem -ErrorAction Stop | Select-Object -First 1) 'UserName' '') }
    catch { return '' }
}

function Get-ProcessOwner {
    # DOMAIN\name of a process's owner, or empty where Windows does not tell.
    param([object] $Process)
    try { $owner = Invoke-CimMethod -InputObject $Process.Source -MethodName GetOwner -ErrorAction Stop }
    catch { return '' }
    $user = [string](Get-OptionalProperty $owner 'User' '')
    $domain = [string](Get-OptionalProperty $owner 'Domain' '')
    if ($user -and $domain) { return "$domain\$user" }
    return $user
}

function Get-DesktopProblem {
    # The failure that a game at this desktop would meet, or null.
    param([object] $Desktop, [object[]] $Snapshot)
    $state = Read-DesktopState $Desktop.SessionId
    if ([string](Get-OptionalProperty $state 'Connection' '') -eq 'disconnected') {
        return (New-Failure 'desktop_disconnected' "the remote desktop of $($Desktop.User) is disconnected, nothing is drawn there: log on at the console, or connect it again")
    }
    $isLocked = Get-OptionalProperty $state 'IsLocked'
    if ($null -eq $isLocked) {
        $screens = @($Snapshot | Where-Object { $_.Name -eq 'LogonUI.exe' -and [string]$_.SessionId -eq [string]$Desktop.SessionId })
        $isLocked = $null -ne $Desktop.SessionId -and $screens.Count -gt 0
    }
    if ($isLocked) {
        return (New-Failure 'desktop_locked' "the desktop of $($Desktop.User) is locked, no input would reach a game: unlock it and switch the screen lock off")
    }
}

function Read-DesktopState {
    # What Windows says of a Windows session: Connection (active, disconnected
    # or other) and IsLocked (null where it is not told); null where nothing is.
    # It is asked by WTSQuerySessionInformation, class 25 (WTSSessionInfoEx): a
    # level of 1 and, aligned to 8 bytes, session id, state (0 active, 4
    # disconnected) and flags (0 locked, 1 unlocked; before Windows 8 the reverse,
    # so that they are not read there).
    param([object] $SessionId)
    if ($null -eq $SessionId -or -not (Test-Path -LiteralPath "$env:SystemRoot\System32\wtsapi32.dll")) { return $null }
    try {
        $source = '[DllImport("wtsapi32.dll", SetLastError = true)] public static extern bool WTSQuerySessionInformationW(System.IntPtr server, int session, int kind, out System.IntPtr data, out int bytes);' +
            '[DllImport("wtsapi32.dll")] public static extern void WTSFreeMemory(System.IntPtr data);'
        $wts = Add-Type -MemberDefinition $source -Name TerminalServices -Namespace Orchestrator -PassThru -ErrorAction Stop
        $data = [System.IntPtr]::Zero
        $bytes = 0
        if (-not $wts::WTSQuerySessionInformationW([System.IntPtr]::Zero, [int]$SessionId, 25, [ref]$data, [ref]$bytes)) { return $null }
        $level, $state, $flags = @(foreach ($offset in 0, 12, 16) { [System.Runtime.InteropServices.Marshal]::ReadInt32($data, $offset) })
        $wts::WTSFreeMemory($data)
    }
    catch { return $null }
    if ($level -ne 1) { return $null }
    $connections = @{ 0 = 'active'; 4 = 'disconnected' }
    $connection = 'other'
    if ($connections.ContainsKey($state)) { $connection = $connections[$state] }
    $isLocked = $null
    $isTold = [Environment]::OSVersion.Version -ge [version]'6.2' -and ($flags -eq 0 -or $flags -eq 1)
    if ($isTold) { $isLocked = $flags -eq 0 }
    return [pscustomobject]@{ Connection = $connection; IsLocked = $isLocked }
}
