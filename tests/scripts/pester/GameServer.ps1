<#
.SYNOPSIS
    A server with a game on it, and what the broker asks of it, for the tests of this folder.
.DESCRIPTION
    Dot-sourced by each *.Tests.ps1. Start-TestGame and its like send what the
    broker sends; With changes some parameters, a null leaves one out.
.EXAMPLE
    . "$PSScriptRoot/GameServer.ps1"
#>

Import-Module "$PSScriptRoot/../standins/StandInServer.psm1"

$Game = 'C:\Games\Neverball\neverball.exe'
$Bin = 'C:\GamingAnywhere\bin'
$Config = 'C:\GamingAnywhere\config\neverball.conf'
$ConfigCopy = 'C:\GamingAnywhere\config\neverball.s-1.conf'
$RecordFile = 'C:\ProgramData\Orchestrator\s-1.json'
$LogFile = 'C:\ProgramData\Orchestrator\s-1.log'
$Login = @{ port = 47989; user = 'sun'; password = 'moon' }
$Player = '198.51.100.7'
$Image = @{
    'periodic' = "$Bin\ga-server-periodic.exe"; 'event-driven' = $Game; 'process' = $Game; 'sunshine' = 'C:\Program Files\Sunshine\sunshine.exe'
}

function New-GameServer {
    # A game, GamingAnywhere's two programs, a config and Sunshine, all well.
    New-StandInServer
    Add-StandInProgram $Game
    Add-StandInProgram "$Bin\ga-server-periodic.exe" @{ port = 'config' }
    Add-StandInProgram "$Bin\ga-server-event-driven.exe" @{ lives = 0.3; child = 'config'; port = 'config'; port_owner = 'child'; port_after = 0.5 }
    Add-StandInFile $Config "game-exe = $Game`nserver-port = 1"
    $null = Start-StandInSunshine
}

function New-Order {
    # What the broker sends to Start-Game.
    param([string] $Mode = 'process', [hashtable] $With = @{})
    $order = @{ SessionId = 's-1'; Mode = $Mode; Executable = $Game; StreamPort = 8554; ControlPort = 8555; ReadyTimeoutSec = 10; Ready = 'port' }
    if ($Mode -eq 'process') { $order.Ready = 'process' }
    elseif ($Mode -eq 'sunshine') { $order += @{ AppName = 'neverball'; Sunshine = $Login }; $order.StreamPort = 47989 }
    else { $order += @{ GaDirectory = $Bin; ConfigPath = $Config } }
    foreach ($name in $With.Keys) {
        if ($null -eq $With[$name]) { $order.Remove($name) }
        else { $order[$name] = $With[$name] }
    }
    return $order
}

function Start-TestGame {
    param([string] $Mode = 'process', [hashtable] $With = @{})
    Invoke-RuntimeScript Start-Game (New-Order $Mode $With)
}

function Stop-TestGame {
    # Ends session s-1; where a launch is given, the process must be that one.
    param([object] $Launch, [hashtable] $With = @{}, [string] $Script = 'Stop-Game')
    $order = @{ SessionId = 's-1'; GraceSec = 0; Sunshine = $Login }
    if ($null -ne $Launch) { $order += @{ ProcessId = $Launch.pid; CreatedAt = $Launch.created_at; Image = $Launch.image } }
    foreach ($name in $With.Keys) { $order[$name] = $With[$name] }
    Invoke-RuntimeScript $Script $order
}

function Get-TestLaunch {
    param([hashtable] $With = @{})
    (Invoke-RuntimeScript Get-Launch $With).launches
}

function Get-Trace {
    # All that a session may leave on a server: tasks, rules, files, apps of
    # Sunshine and processes, in words.
    param([string] $SessionId)
    Get-ScheduledTask -TaskPath '\Orchestrator\' -ErrorAction SilentlyContinue | ForEach-Object { "task $($_.TaskName)" }
    (Get-StandInState).rules.Keys | ForEach-Object { "rule $_" }
    Get-StandInFile | Where-Object { $_ -ne $Config } | ForEach-Object { "file $_" }
    (Get-StandInState).sunshine.apps | Where-Object { $_.name -ne 'Desktop' } | ForEach-Object { "app $($_.name)" }
    foreach ($name in 'neverball.exe', 'launcher.exe', 'helper.exe', 'ga-server-periodic.exe', 'ga-server-event-driven.exe') {
        Get-StandInProcess $name | ForEach-Object { "process $($_.Name)" }
    }
}

function Get-Call {
    # The commands of one kind that were used so far.
    param([string] $Like)
    (Get-StandInState).calls | Where-Object { $_ -like $Like }
}

function Edit-Record {
    # Changes the server's own record of session s-1.
    param([hashtable] $With)
    $record = Get-Content -LiteralPath $RecordFile | ConvertFrom-Json -AsHashtable
    foreach ($name in $With.Keys) { $record[$name] = $With[$name] }
    ConvertTo-Json -InputObject $record -Depth 8 | Set-Content -LiteralPath $RecordFile
}

function Split-CommandLine {
    # The words of a command line, as CommandLineToArgvW takes them apart.
    param([string] $Line)
    $word = $null
    $isQuoted = $false
    for ($i = 0; $i -lt $Line.Length; $i++) {
        $letter = $Line[$i]
        if ($letter -match '\s' -and -not $isQuoted) {
            if ($null -ne $word) { $word }
            $word = $null
            continue
        }
        $count = 0
        while ($i -lt $Line.Length -and $Line[$i] -eq '\') { $count++; $i++ }
        if ($i -lt $Line.Length -and $Line[$i] -eq '"') {
            $word = [string]$word + '\' * [math]::Floor($count / 2)
            if ($count % 2) { $word += '"' }
            else { $isQuoted = -not $isQuoted }
            continue
        }
        $word = [string]$word + '\' * $count
        if ($count) { $i-- }
        else { $word += $letter }
    }
    if ($null -ne $word) { $word }
}
