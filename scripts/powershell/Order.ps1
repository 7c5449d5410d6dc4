<#
.SYNOPSIS
    What a start was asked for: whether it can be done, and what it comes to.
.DESCRIPTION
    Needs Common.ps1, Process.ps1, Firewall.ps1 and Session.ps1. An order holds Start-Game's
    parameters, its deadline and the warnings so far; from it come the action
    of the task, the record and the session's copy of the config.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Order.ps1
#>
#Requires -Version 5.1

function Assert-Order {
    # The parameters must fit together.
    param([object] $Order)
    $problems = @()
    if (-not (Test-AbsolutePath $Order.Executable)) { $problems += "Executable must be an absolute path, not '$($Order.Executable)'" }
    if ($Order.Directory -and -not (Test-AbsolutePath $Order.Directory)) { $problems += "WorkingDirectory must be an absolute path, not '$($Order.Directory)'" }
    if ($Order.Mode -eq 'sunshine') {
        if ($Order.AppName -notmatch '^[^\x00-\x1f]{1,128}$') { $problems += 'mode sunshine needs AppName' }
        if ($Order.Environment.Count -gt 0) { $problems += 'mode sunshine cannot set Environment: Sunshine has one for all of its apps' }
    }
    elseif ($Order.Mode -ne 'process') {
        if (-not (Test-AbsolutePath $Order.GaDirectory)) { $problems += "mode $($Order.Mode) needs GaDirectory, an absolute path" }
        if (-not (Test-AbsolutePath $Order.ConfigPath)) { $problems += "mode $($Order.Mode) needs ConfigPath, an absolute path" }
    }
    if ($Order.Ready -eq 'port' -and $Order.StreamPort -eq 0) { $problems += 'Ready port needs a StreamPort' }
    foreach ($variable in $Order.Environment) {
        $name = [string](Get-OptionalProperty $variable 'name' '')
        $value = [string](Get-OptionalProperty $variable 'value' '')
        if ($name -notmatch '^[^=\x00-\x1f]+$' -or $value -match '[\x00-\x1f]') { $problems += "Environment cannot hold '$name'" }
    }
    $address = $null
    if ($Order.PlayerAddress -and -not [System.Net.IPAddress]::TryParse($Order.PlayerAddress, [ref]$address)) {
        $problems += "PlayerAddress must be an IP address, not '$($Order.PlayerAddress)'"
    }
    if ($Order.Mode -eq 'event-driven') { $problems += @(Get-ConfigProblem $Order) }
    if ($problems.Count -gt 0) { throw (New-Failure 'bad_parameter' ($problems -join '; ')) }
}

function Get-ConfigProblem {
    # What of an order GamingAnywhere's config could not carry: it has no
    # quoting, so that comments and line ends cannot be written.
    param([object] $Order)
    foreach ($value in @(Get-GameSetting $Order | ForEach-Object { $_.Value })) {
        if ($value -match '[\x00-\x1f#;]' -or $value -match '^\s|\s$|^\[|^[^/]*//' -or $value -eq '') {
            "'$value' cannot be written into GamingAnywhere's config: no empty text, no # or ;, no // and no [ at its start"
        }
    }
}

function Get-GameSetting {
    # Keys and values that hand an order's arguments, environment and directory
    # to an event-driven game. GamingAnywhere puts each argument between quotes
    # itself, without escaping, and takes them in the order of their keys.
    param([object] $Order)
    if ($Order.Directory) { [pscustomobject]@{ Key = 'game-dir'; Value = $Order.Directory } }
    if ($Order.Arguments.Count -gt 0) { [pscustomobject]@{ Key = 'game-argv'; Value = 'none' } }
    $number = 0
    foreach ($word in $Order.Arguments) {
        $number++
        $escaped = ($word -replace '(\\*)"', '$1$1\"') -replace '(\\+)$', '$1$1'
        [pscustomobject]@{ Key = 'game-argv[{0:000}]' -f $number; Value = $escaped }
    }
    $number = 0
    foreach ($variable in $Order.Environment) {
        $number++
        [pscustomobject]@{ Key = 'game-env[session{0:000}]' -f $number; Value = "$($variable.name)=$($variable.value)" }
    }
}

function Assert-File {
    # What the launch needs must be there. What is on a share cannot be seen
    # from here, because the credentials do not travel on.
    param([object] $Order)
    Assert-Path $Order.Executable 'Leaf' 'executable_missing' 'the executable'
    if ($Order.Directory) { Assert-Path $Order.Directory 'Container' 'working_directory_missing' 'the working directory' }
    if ($Order.Mode -eq 'process' -or $Order.Mode -eq 'sunshine') { return }
    Assert-Path (Get-ServerProgram $Order) 'Leaf' 'ga_missing' "GamingAnywhere's server"
    Assert-Path $Order.ConfigPath 'Leaf' 'config_missing' 'the config'
}

function Assert-Path {
    # One file or folder must be there.
    param([string] $Path, [string] $Kind, [string] $Code, [string] $Words)
    if ($Path.StartsWith('\\')) { return }
    if (-not (Test-Path -LiteralPath $Path -PathType $Kind)) { throw (New-Failure $Code "$Words $Path is not there") }
}

function Assert-PortFree {
    # Nobody may listen on the stream port yet.
    param([object] $Order, [object[]] $Snapshot)
    if ($Order.Ready -ne 'port') { return }
    $owner = @(Get-PortOwner $Order.StreamPort) | Select-Object -First 1
    if ($null -eq $owner) { return }
    throw (New-Failure 'port_in_use' "port $($Order.StreamPort) is taken by $(Get-ProcessWord $owner $Snapshot)")
}

function Get-ServerProgram {
    # GamingAnywhere's program for an order's mode.
    param([object] $Order)
    return (Join-WindowsPath $Order.GaDirectory "ga-server-$($Order.Mode).exe")
}

function Get-GameAction {
    # What a task runs to start the game: the executable itself, or a launcher
    # where variables must be set first, which a task cannot do.
    param([object] $Order)
    $folder = $Order.Directory
    if (-not $folder) { $folder = Get-ParentPath $Order.Executable }
    $line = ConvertTo-CommandLine $Order.Arguments
    if ($Order.Environment.Count -eq 0) {
        return [pscustomobject]@{ Execute = $Order.Executable; Argument = $line; Directory = $folder; Marker = '' }
    }
    $start = ConvertTo-AsciiJson ([ordered]@{ exe = $Order.Executable; line = $line; folder = $folder; variables = [object[]]$Order.Environment })
    $source = @(
        "`$start = ConvertFrom-Json '$($start.Replace("'", "''"))'"
        'foreach ($one in $start.variables) { [Environment]::SetEnvironmentVariable($one.name, $one.value) }'
        '$how = @{ FilePath = $start.exe; WorkingDirectory = $start.folder }'
        'if ($start.line) { $how.ArgumentList = $start.line }'
        'Start-Process @how'
    ) -join "`n"
    $encoded = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($source))
    $argument = "-NoLogo -NoProfile -NonInteractive -WindowStyle Hidden -EncodedCommand $encoded"
    return [pscustomobject]@{ Execute = 'powershell.exe'; Argument = $argument; Directory = $folder; Marker = $encoded }
}

function Get-MainAction {
    # What the session's main task runs.
    param([object] $Order)
    if ($Order.Mode -eq 'process') { return (Get-GameAction $Order) }
    $config = Get-SessionConfigPath $Order.ConfigPath $Order.SessionId
    return [pscustomobject]@{
        Execute   = Get-ServerProgram $Order
        Argument  = ConvertTo-CommandLine @($config)
        Directory = $Order.GaDirectory
        Marker    = $config
    }
}

function New-LaunchRecord {
    # What is known of a launch before it is started.
    param([object] $Order, [object] $Desktop)
    $record = New-Record $Order.SessionId
    $record.mode = $Order.Mode
    if ($Order.Mode -ne 'sunshine') {
        $main = Get-MainAction $Order
        $record.program = $main.Execute
        $record.marker = $main.Marker
        $record.game = $Order.Executable
        if ($Order.Mode -ne 'process') { $record.config = $main.Marker }
        $record.stream_port = $Order.StreamPort
    }
    $record.ready = $Order.Ready
    $record.desktop_user = $Desktop.User
    $record.windows_session = $Desktop.SessionId
    $record.elevated = $Order.Elevated
    $record.ready_by = $Order.Deadline
    $record.has_rule = [bool]$Order.PlayerAddress
    return $record
}

function New-SessionConfig {
    # The session's copy of its config, with its own ports and log after all
    # else: GamingAnywhere takes the last assignment.
    param([object] $Order, [object] $Record)
    if (-not $Record.config) { return }
    $lines = @('', "# session $($Order.SessionId)")
    if ($Order.StreamPort -gt 0) { $lines += "server-port = $($Order.StreamPort)" }
    if ($Order.ControlPort -gt 0) { $lines += "control-port = $($Order.ControlPort)" }
    $lines += "logfile = $(Get-SessionFile $Order.SessionId 'log')"
    if ($Order.Mode -eq 'event-driven') { $lines += @(Get-GameSetting $Order | ForEach-Object { "$($_.Key) = $($_.Value)" }) }
    Copy-Item -LiteralPath $Order.ConfigPath -Destination $Record.config -Force -ErrorAction Stop
    $encoding = 'ASCII'
    if (($lines -join '') -match '[^\x00-\x7f]') { $encoding = 'UTF8' }
    Add-Content -LiteralPath $Record.config -Value $lines -Encoding $encoding -Force -ErrorAction Stop
}
