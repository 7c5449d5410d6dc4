<#
.SYNOPSIS
    The firewall rules that let one player reach one session.
.DESCRIPTION
    Needs Common.ps1. A session for a known address has two rules, named
    Orchestrator-<session id>-TCP and -UDP in the group Orchestrator: inbound,
    from that address only, to the session's own ports.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Firewall.ps1
#>
#Requires -Version 5.1

$RuleGroup = 'Orchestrator'
$RtpPorts = '6970-7069'

function Get-PlayerPort {
    # What a session's player must reach: Tcp and Udp, as the firewall writes
    # ports. Sunshine's are offsets from its base port.
    param([object] $Order)
    if ($Order.Mode -eq 'sunshine') {
        $base = $Order.StreamPort
        return @{ Tcp = @(($base - 5), $base, ($base + 21)); Udp = @(($base + 9), ($base + 10), ($base + 11), ($base + 13)) }
    }
    $ports = @{ Tcp = @(); Udp = @() }
    if ($Order.StreamPort -gt 0) { $ports.Tcp = @($Order.StreamPort) }
    if ($Order.Mode -eq 'process') { return $ports }
    $ports.Udp = @($RtpPorts)
    if ($Order.ControlPort -le 0) { return $ports }
    if ((Get-ConfigValue $Order.ConfigPath 'control-proto') -eq 'tcp') { $ports.Tcp += $Order.ControlPort }
    else { $ports.Udp += $Order.ControlPort }
    return $ports
}

function Add-PlayerRule {
    # Opens a session's ports to its player's address.
    param([object] $Order)
    $ports = Get-PlayerPort $Order
    foreach ($protocol in 'Tcp', 'Udp') {
        if ($ports[$protocol].Count -eq 0) { continue }
        $name = "$RuleGroup-$($Order.SessionId)-$($protocol.ToUpperInvariant())"
        $rule = @{
            Name          = $name
            DisplayName   = $name
            Group         = $RuleGroup
            Direction     = 'Inbound'
            Action        = 'Allow'
            Protocol      = $protocol.ToUpperInvariant()
            LocalPort     = [string[]]$ports[$protocol]
            RemoteAddress = $Order.PlayerAddress
        }
        try {
            $null = Remove-OneRule $name
            $null = New-NetFirewallRule @rule -ErrorAction Stop
        }
        catch { throw (New-Failure 'firewall_refused' "the firewall rule $name could not be made: $($_.Exception.Message)") }
    }
}

function Remove-PlayerRule {
    # Removes a session's rules; answers what could not be.
    param([string] $SessionId)
    foreach ($protocol in 'TCP', 'UDP') {
        $name = "$RuleGroup-$SessionId-$protocol"
        try { $null = Remove-OneRule $name }
        catch { "the firewall rule $name could not be removed: $($_.Exception.Message)" }
    }
}

function Remove-OneRule {
    # Removes a rule by its name where there is one; answers whether there was.
    param([string] $Name)
    $rules = @()
    try { $rules = @(Get-NetFirewallRule -Name $Name -ErrorAction Stop | Where-Object { $null -ne $_ }) }
    catch { if (Test-AccessDenied $_) { throw } }
    if ($rules.Count -eq 0) { return $false }
    $null = Remove-NetFirewallRule -Name $Name -ErrorAction Stop
    return $true
}
