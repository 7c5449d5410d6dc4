<#
.SYNOPSIS
    Opens this server to the broker, once, and can take all of it back.
.DESCRIPTION
    Run it on the server as an administrator; it needs no other file and leaves
    nothing running. It sees to WinRM over HTTPS with a certificate, a firewall
    rule for the broker's address only, an account with the rights it needs,
    and WinRM's quotas. What is as it should be already is left alone, so a
    second run changes nothing. What was before is kept in enable.json under
    Orchestrator in the program data folder, and -Undo puts back exactly that;
    what somebody has changed since is left and told.

    With -Access Start, which starting games needs, the account becomes a
    member of Administrators: it registers tasks for the player, ends the
    player's processes and makes firewall rules. With -Access Poll it only gets
    Remote Management Users, Performance Monitor Users and Remote Enable on
    root\cimv2.
.PARAMETER BrokerAddress
    Addresses or networks that the broker calls from.
.PARAMETER AccountName
    The account that the broker logs on with. One of this computer is made where
    it is missing; DOMAIN\name must be there.
.PARAMETER Password
    The password of an account that has to be made.
.PARAMETER Access
    Start or Poll.
.PARAMETER CertificateThumbprint
    A certificate in LocalMachine\My; without it the present listener's is kept
    or a self-signed one is made.
.PARAMETER Port
    The port of the HTTPS listener, for a new one.
.PARAMETER Undo
    Put back what was before.
.OUTPUTS
    An object for each thing looked at: Step, Item, Before, After, Result
    (changed, unchanged, skipped, failed) and Note; the last one's Note is what
    to put into the inventory.
.EXAMPLE
    .\Enable-RuntimeServer.ps1 -BrokerAddress 192.0.2.5 -Password (Read-Host -AsSecureString)
.EXAMPLE
    .\Enable-RuntimeServer.ps1 -Undo
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess = $true, DefaultParameterSetName = 'Enable')]
param(
    [Parameter(Mandatory = $true, ParameterSetName = 'Enable')]
    [ValidateNotNullOrEmpty()]
    [string[]] $BrokerAddress,

    [Parameter(ParameterSetName = 'Enable')]
    [ValidateLength(1, 104)]
    [string] $AccountName = 'orchestrator',

    [Parameter(ParameterSetName = 'Enable')]
    [securestring] $Password,

    [Parameter(ParameterSetName = 'Enable')]
    [ValidateSet('Start', 'Poll')]
    [string] $Access = 'Start',

    [Parameter(ParameterSetName = 'Enable')]
    [ValidatePattern('^([0-9A-Fa-f]{40})?$')]
    [string] $CertificateThumbprint = '',

    [Parameter(ParameterSetName = 'Enable')]
    [ValidateRange(1, 65535)]
    [int] $Port = 5986,

    [Parameter(Mandatory = $true, ParameterSetName = 'Undo')]
    [switch] $Undo
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$RuleName = 'Orchestrator-WinRM-HTTPS'
$CertificateName = 'Orchestrator WinRM'
$Policy = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
$TokenFilter = 'LocalAccountTokenFilterPolicy'
$Groups = @{ Administrators = 'S-1-5-32-544'; PerformanceMonitorUsers = 'S-1-5-32-558'; RemoteManagementUsers = 'S-1-5-32-580' }
$Quotas = @(
    @('MaxShellsPerUser', 'winrm/config/winrs', 30), @('MaxProcessesPerShell', 'winrm/config/winrs', 25),
    @('MaxMemoryPerShellMB', 'winrm/config/winrs', 1024), @('MaxConcurrentOperationsPerUser', 'winrm/config/service', 1500),
    @('MaxEnvelopeSizekb', 'winrm/config', 500))

function Get-RecordPath {
    # Where what was before is kept.
    $root = [string]$env:ProgramData
    if ($root -notmatch '^[A-Za-z]:\\') { $root = 'C:\ProgramData' }
    return "$root\Orchestrator\enable.json"
}

function Read-Change {
    # What earlier runs have changed, oldest first.
    $path = Get-RecordPath
    if (-not (Test-Path -LiteralPath $path)) { return }
    $text = @(Get-Content -LiteralPath $path -Encoding ASCII) -join ''
    foreach ($change in @((ConvertFrom-Json -InputObject $text).changes)) {
        [pscustomobject]@{ Kind = [string]$change.Kind; Item = [string]$change.Item; Before = $change.Before; After = $change.After }
    }
}

function Save-Change {
    # Keeps what was changed, after each change; without any the record goes.
    param([object[]] $Change)
    $path = Get-RecordPath
    if ($Change.Count -eq 0) {
        if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path -Force }
        return
    }
    $null = New-Item -ItemType Directory -Path $path.Substring(0, $path.LastIndexOf('\')) -Force
    $json = ConvertTo-Json -InputObject ([ordered]@{ version = 1; changes = [object[]]$Change }) -Depth 6 -Compress
    $ascii = [regex]::Replace($json, '[^\x20-\x7e]', { param($m) '\u{0:x4}' -f [int][char]$m.Value })
    Set-Content -LiteralPath "$path.new" -Value $ascii -Encoding ASCII
    Move-Item -LiteralPath "$path.new" -Destination $path -Force
}

function New-Result {
    # One line of the report.
    param([string] $Step, [string] $Item, [object] $Before, [object] $After, [string] $Result, [string] $Note)
    [pscustomobject]@{ Step = $Step; Item = $Item; Before = $Before; After = $After; Result = $Result; Note = $Note }
}

function Test-Administrator {
    # Whether this process may change the system; true where nobody can tell,
    # because Windows then says no by itself.
    try {
        $identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
        $principal = New-Object System.Security.Principal.WindowsPrincipal $identity
        return $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
    }
    catch { return $true }
}

function Get-Setting {
    # What there is now of one kind and item, as text; null where there is nothing.
    param([string] $Kind, [string] $Item)
    switch ($Kind) {
        'service' { return (Get-ServiceState) }
        'listener' { return (Get-Listener).Thumbprint }
        'certificate' {
            if ($null -ne (Get-MachineCertificate $Item)) { return $Item }
            return $null
        }
        'firewall' { return (Get-RuleAddress $Item) }
        'account' { return (Get-LocalAccount $Item) }
        'member' {
            $group, $account = $Item -split '\|', 2
            if (Test-Member $group $account) { return 'member' }
            return $null
        }
        'namespace' { return (Get-NamespaceSddl $Item) }
        'registry' { return (Get-PolicyValue) }
        'quota' { return (Get-Quota $Item) }
    }
}

function Set-Setting {
    # Makes one kind and item what it shall be; null takes it away.
    param([string] $Kind, [string] $Item, [object] $Value)
    switch ($Kind) {
        'service' { Set-ServiceState $Value }
        'listener' { Set-Listener $Value }
        'certificate' { if ($null -eq $Value) { Remove-MachineCertificate $Item } }
        'firewall' { Set-RuleAddress $Item $Value }
        'account' { if ($null -eq $Value) { Remove-LocalUser -Name $Item } }
        'member' {
            $group, $account = $Item -split '\|', 2
            if ($null -eq $Value) { Remove-LocalGroupMember -SID $group -Member $account }
            else { Add-LocalGroupMember -SID $group -Member $account }
        }
        'namespace' { Set-NamespaceSddl $Item $Value }
        'registry' { Set-PolicyValue $Value }
        'quota' { Set-Quota $Item $Value }
    }
}

function Get-ServiceState {
    # Start type and status of WinRM, as Automatic/Running.
    $service = Get-Service -Name WinRM
    return "$($service.StartType)/$($service.Status)"
}

function Set-ServiceState {
    # Start type and status of WinRM.
    param([string] $State)
    $type, $status = $State -split '/'
    Set-Service -Name WinRM -StartupType $type
    if ($status -eq 'Running') { Start-Service -Name WinRM }
    else { Stop-Service -Name WinRM -Force }
}

function Get-Listener {
    # The HTTPS listener: Thumbprint and Port, or null each.
    $found = @(Get-WSManInstance -ResourceURI 'winrm/config/Listener' -Enumerate | Where-Object { $_.Transport -eq 'HTTPS' -and $_.Address -eq '*' })
    if ($found.Count -eq 0) { return [pscustomobject]@{ Thumbprint = $null; Port = $null } }
    return [pscustomobject]@{ Thumbprint = ([string]$found[0].CertificateThumbprint -replace '\s', '').ToUpperInvariant(); Port = [int]$found[0].Port }
}

function Set-Listener {
    # The HTTPS listener's certificate; null takes the listener away.
    param([string] $Thumbprint)
    $selector = @{ Address = '*'; Transport = 'HTTPS' }
    $uri = 'winrm/config/Listener'
    if (-not $Thumbprint) { $null = Remove-WSManInstance -ResourceURI $uri -SelectorSet $selector }
    elseif ($null -eq (Get-Listener).Thumbprint) {
        $value = @{ CertificateThumbprint = $Thumbprint; Port = [string]$Port }
        $null = New-WSManInstance -ResourceURI $uri -SelectorSet $selector -ValueSet $value
    }
    else { $null = Set-WSManInstance -ResourceURI $uri -SelectorSet $selector -ValueSet @{ CertificateThumbprint = $Thumbprint } }
}

function Get-MachineCertificate {
    # A certificate of this computer by thumbprint, or null.
    param([string] $Thumbprint)
    try { return (Get-ChildItem -Path 'Cert:\LocalMachine\My' | Where-Object { $_.Thumbprint -eq $Thumbprint } | Select-Object -First 1) }
    catch [System.Management.Automation.DriveNotFoundException] { return $null }
}

function Remove-MachineCertificate {
    # Removes a certificate of this computer with its key.
    param([string] $Thumbprint)
    Remove-Item -LiteralPath "Cert:\LocalMachine\My\$Thumbprint" -DeleteKey
}

function Get-Fingerprint {
    # SHA-256 of a certificate in lower case, as the inventory pins it.
    param([object] $Certificate)
    $sha = [System.Security.Cryptography.SHA256]::Create()
    try { return ([BitConverter]::ToString($sha.ComputeHash([byte[]]$Certificate.RawData)) -replace '-', '').ToLowerInvariant() }
    finally { $sha.Dispose() }
}

function ConvertTo-Prefix {
    # A network as address/length; the firewall tells it with a mask. One
    # address of IPv4 has no length.
    param([string] $Address)
    $text = $Address.Trim().ToLowerInvariant() -replace '^(\d+\.\d+\.\d+\.\d+)/32$', '$1'
    if ($text -notmatch '^(\S+)/(\d+)\.(\d+)\.(\d+)\.(\d+)$') { return $text }
    $bits = (@($Matches[2], $Matches[3], $Matches[4], $Matches[5] | ForEach-Object { [Convert]::ToString([int]$_, 2) }) -join '') -replace '0', ''
    if ($bits.Length -eq 32) { return $Matches[1] }
    return "$($Matches[1])/$($bits.Length)"
}

function Get-RuleAddress {
    # Port and addresses that a firewall rule of ours allows, or null.
    param([string] $Name)
    $rule = @(Get-NetFirewallRule -Name $Name -ErrorAction SilentlyContinue)
    if ($rule.Count -eq 0) { return $null }
    $ports = @((Get-NetFirewallPortFilter -AssociatedNetFirewallRule $rule[0]).LocalPort)
    $addresses = @((Get-NetFirewallAddressFilter -AssociatedNetFirewallRule $rule[0]).RemoteAddress | ForEach-Object { ConvertTo-Prefix $_ })
    return "$($ports -join ',') from $(@($addresses | Sort-Object) -join ',')"
}

function Set-RuleAddress {
    # A firewall rule for a port and addresses; null takes it away.
    param([string] $Name, [string] $Value)
    if (@(Get-NetFirewallRule -Name $Name -ErrorAction SilentlyContinue).Count -gt 0) { Remove-NetFirewallRule -Name $Name }
    if (-not $Value) { return }
    $local, $remote = $Value -split ' from '
    $rule = @{
        Name = $Name; DisplayName = 'WinRM over HTTPS for the game broker'; Direction = 'Inbound'; Action = 'Allow'
        Protocol = 'TCP'; LocalPort = $local; RemoteAddress = @($remote -split ','); Profile = 'Any'
    }
    $null = New-NetFirewallRule @rule
}

function Get-LocalAccount {
    # 'enabled' or 'disabled', or null where this computer has no such account.
    param([string] $Name)
    $user = @(Get-LocalUser -Name $Name -ErrorAction SilentlyContinue)
    if ($user.Count -eq 0) { return $null }
    if ($user[0].Enabled) { return 'enabled' }
    return 'disabled'
}

function Get-AccountSid {
    # SID of the account as text: of this computer's, else of the domain's.
    param([string] $Name)
    $user = @(Get-LocalUser -Name $Name -ErrorAction SilentlyContinue)
    if ($user.Count -gt 0) { return [string]$user[0].SID }
    return (New-Object System.Security.Principal.NTAccount $Name).Translate([System.Security.Principal.SecurityIdentifier]).Value
}

function Test-Member {
    # Whether a group, named by its SID because names are translated, has an account.
    param([string] $Group, [string] $Account)
    try { $members = @(Get-LocalGroupMember -SID $Group) }
    catch { $members = @() }
    $short = ($Account -split '\\')[-1]
    return @($members | Where-Object { $_.Name -eq $Account -or ($Account -eq $short -and ([string]$_.Name -split '\\')[-1] -eq $short) }).Count -gt 0
}

function Get-NamespaceSddl {
    # The security of a WMI namespace as SDDL.
    param([string] $Namespace)
    $raw = Invoke-CimMethod -Namespace $Namespace -ClassName '__SystemSecurity' -MethodName 'GetSD'
    $text = Invoke-CimMethod -Namespace 'root/cimv2' -ClassName 'Win32_SecurityDescriptorHelper' -MethodName 'BinarySDToSDDL' -Arguments @{ BinarySD = [byte[]]$raw.SD }
    return [string]$text.SDDL
}

function Set-NamespaceSddl {
    # Sets the security of a WMI namespace.
    param([string] $Namespace, [string] $Sddl)
    $raw = Invoke-CimMethod -Namespace 'root/cimv2' -ClassName 'Win32_SecurityDescriptorHelper' -MethodName 'SDDLToBinarySD' -Arguments @{ SDDL = $Sddl }
    $done = Invoke-CimMethod -Namespace $Namespace -ClassName '__SystemSecurity' -MethodName 'SetSD' -Arguments @{ SD = [byte[]]$raw.BinarySD }
    if ([int]$done.ReturnValue -ne 0) { throw "the security of $Namespace could not be set: $($done.ReturnValue)" }
}

function Add-RemoteEnable {
    # SDDL with Enable Account and Remote Enable (0x21, CCWP) for a SID, before
    # what is inherited; the same where the SID has them.
    param([string] $Sddl, [string] $Sid)
    $present = [regex]::Matches($Sddl, "\(A;[A-Z]*;([A-Z0-9x]+);;;$([regex]::Escape($Sid))\)")
    foreach ($ace in $present) {
        $rights = $ace.Groups[1].Value
        if ($rights -match '^0x') { if (([Convert]::ToInt32($rights, 16) -band 33) -eq 33) { return $Sddl } }
        elseif ($rights -match '^(..)*CC' -and $rights -match '^(..)*WP') { return $Sddl }
    }
    $ace = "(A;;CCWP;;;$Sid)"
    $first = $Sddl.IndexOf('(')
    $dacl = $Sddl.IndexOf('D:')
    if ($dacl -lt 0 -or $first -lt $dacl) { throw "not a security descriptor with a DACL: $Sddl" }
    $inherited = [regex]::Match($Sddl.Substring($first), '\([A-Z]+;([A-Z]{2})*?ID([A-Z]{2})*;')
    $sacl = $Sddl.IndexOf('S:', $dacl)
    if ($inherited.Success -and ($sacl -lt 0 -or $first + $inherited.Index -lt $sacl)) { return $Sddl.Insert($first + $inherited.Index, $ace) }
    if ($sacl -lt 0) { return $Sddl + $ace }
    return $Sddl.Insert($sacl, $ace)
}

function Get-PolicyValue {
    # LocalAccountTokenFilterPolicy, or null where it is not set.
    try { $found = Get-ItemProperty -LiteralPath $Policy -Name $TokenFilter }
    catch { return $null }
    return [string]$found.$TokenFilter
}

function Set-PolicyValue {
    # LocalAccountTokenFilterPolicy; null takes it away.
    param([string] $Value)
    if (-not $Value) { Remove-ItemProperty -LiteralPath $Policy -Name $TokenFilter }
    else { $null = New-ItemProperty -LiteralPath $Policy -Name $TokenFilter -Value ([int]$Value) -PropertyType DWord -Force }
}

function Get-Quota {
    # One of WinRM's quotas as text.
    param([string] $Name)
    $uri = @($Quotas | Where-Object { $_[0] -eq $Name })[0][1]
    return [string](Get-WSManInstance -ResourceURI $uri).$Name
}

function Set-Quota {
    # Sets one of WinRM's quotas.
    param([string] $Name, [string] $Value)
    $uri = @($Quotas | Where-Object { $_[0] -eq $Name })[0][1]
    $null = Set-WSManInstance -ResourceURI $uri -ValueSet @{ $Name = $Value }
}

function Invoke-Step {
    # Makes one thing as it shall be and keeps what was before. Answers a line
    # of the report; what fails is told, and the other steps go on.
    param([string] $Kind, [string] $Item, [object] $Wanted, [string] $Note)
    $before = $null
    try {
        $before = Get-Setting $Kind $Item
        if ($before -eq $Wanted) { return (New-Result $Kind $Item $before $Wanted 'unchanged' $Note) }
        if (-not $PSCmdlet.ShouldProcess("$Kind $Item", "Change '$before' to '$Wanted'")) {
            return (New-Result $Kind $Item $before $Wanted 'skipped' $Note)
        }
        Set-Setting $Kind $Item $Wanted
        $after = Get-Setting $Kind $Item
        Add-Change $Kind $Item $before $after
        return (New-Result $Kind $Item $before $after 'changed' $Note)
    }
    catch { return (New-Result $Kind $Item $before $Wanted 'failed' $_.Exception.Message) }
}

function Add-Change {
    # Keeps one change; what was before the first of an item counts.
    param([string] $Kind, [string] $Item, [object] $Before, [object] $After)
    $changes = @(Read-Change)
    $known = @($changes | Where-Object { $_.Kind -eq $Kind -and $_.Item -eq $Item })
    if ($known.Count -gt 0) { $known[0].After = $After }
    else { $changes += [pscustomobject]@{ Kind = $Kind; Item = $Item; Before = $Before; After = $After } }
    Save-Change $changes
}

function Enable-Account {
    # The account and its groups; SIDs of what it must be a member of.
    $isLocal = $AccountName -notmatch '\\'
    if ($isLocal) {
        $state = Get-LocalAccount $AccountName
        if ($null -eq $state -and $null -eq $Password) {
            New-Result 'account' $AccountName $null 'enabled' 'failed' 'there is no such account: give -Password to have it made'
            return
        }
        if ($null -ne $state) { New-Result 'account' $AccountName $state $state 'unchanged' '' }
        elseif (-not $PSCmdlet.ShouldProcess("account $AccountName", 'Make it')) { New-Result 'account' $AccountName $null 'enabled' 'skipped' '' }
        else {
            $null = New-LocalUser -Name $AccountName -Password $Password -PasswordNeverExpires -AccountNeverExpires -Description 'The game broker logs on with it'
            Add-Change 'account' $AccountName $null 'enabled'
            New-Result 'account' $AccountName $null 'enabled' 'changed' ''
        }
    }
    Invoke-Step 'member' "$($Groups.RemoteManagementUsers)|$AccountName" 'member' 'Remote Management Users: WinRM'
    Invoke-Step 'member' "$($Groups.PerformanceMonitorUsers)|$AccountName" 'member' 'Performance Monitor Users: load'
    if ($Access -eq 'Start') {
        Invoke-Step 'member' "$($Groups.Administrators)|$AccountName" 'member' "Administrators: tasks for the player, ending the player's processes, firewall rules"
        if ($isLocal) { Invoke-Step 'registry' $TokenFilter '1' 'a local administrator keeps its rights over the network' }
    }
    if ($null -eq (Get-LocalAccount $AccountName) -and $isLocal) { return }
    try { $wanted = Add-RemoteEnable (Get-NamespaceSddl 'root/cimv2') (Get-AccountSid $AccountName) }
    catch {
        New-Result 'namespace' 'root/cimv2' $null 'Remote Enable' 'failed' $_.Exception.Message
        return
    }
    Invoke-Step 'namespace' 'root/cimv2' $wanted 'Enable Account and Remote Enable: polling'
}

function Enable-Listener {
    # The certificate and the HTTPS listener; the certificate's fingerprint goes
    # to the last line.
    $present = (Get-Listener).Thumbprint
    $thumbprint = $CertificateThumbprint.ToUpperInvariant()
    $certificate = $null
    if (-not $thumbprint) { $thumbprint = $present }
    if (-not $thumbprint) {
        $name = [string]$env:COMPUTERNAME
        if (-not $PSCmdlet.ShouldProcess("certificate for $name", 'Make it')) { return (New-Result 'listener' 'HTTPS' $null 'a new certificate' 'skipped' '') }
        $certificate = New-SelfSignedCertificate -DnsName @($name) -CertStoreLocation 'Cert:\LocalMachine\My' -FriendlyName $CertificateName -NotAfter ([datetime]::Now.AddYears(5))
        $thumbprint = $certificate.Thumbprint.ToUpperInvariant()
        Add-Change 'certificate' $thumbprint $null $thumbprint
        New-Result 'certificate' $thumbprint $null $thumbprint 'changed' 'self-signed, for five years'
    }
    if ($null -eq $certificate) { $certificate = Get-MachineCertificate $thumbprint }
    if ($null -eq $certificate -and $thumbprint -ne $present) {
        return (New-Result 'listener' 'HTTPS' $present $thumbprint 'failed' "there is no certificate $thumbprint in LocalMachine\My")
    }
    Invoke-Step 'listener' 'HTTPS' $thumbprint ''
    $listening = (Get-Listener).Port
    if ($null -eq $listening) { $listening = $Port }
    Invoke-Step 'firewall' $RuleName "$listening from $(@($BrokerAddress | ForEach-Object { ConvertTo-Prefix $_ } | Sort-Object) -join ',')" 'the broker only'
    $fingerprint = ''
    if ($null -ne $certificate) { $fingerprint = Get-Fingerprint $certificate }
    New-Result 'inventory' ([string]$env:COMPUTERNAME) $null $fingerprint 'unchanged' (Get-InventoryText $listening $fingerprint)
}

function Get-InventoryText {
    # Lines for the inventory.
    param([int] $ListenerPort, [string] $Fingerprint)
    $lines = @(
        'ansible_connection: winrm', 'ansible_winrm_scheme: https', "ansible_port: $ListenerPort", 'ansible_winrm_transport: ntlm',
        "ansible_user: '$AccountName'", "ansible_password: `"{{ lookup('env', 'ORCHESTRATOR_SERVER_PASSWORD') }}`"")
    if ($Fingerprint) { $lines += "orchestrator_certificate_fingerprint: $Fingerprint" }
    return ($lines -join "`n")
}

function Enable-Quota {
    # Raises quotas that are too low; never lowers one.
    foreach ($quota in $Quotas) {
        $name, $null, $least = $quota
        try { $now = [int](Get-Quota $name) }
        catch {
            New-Result 'quota' $name $null $least 'failed' $_.Exception.Message
            continue
        }
        Invoke-Step 'quota' $name ([string][Math]::Max($now, $least)) ''
    }
}

function Undo-Change {
    # Puts back what was before, the last change first. What somebody changed
    # since is theirs: it stays, and so does its line in the record.
    $rest = @(Read-Change)
    if ($rest.Count -eq 0) { return (New-Result 'undo' (Get-RecordPath) $null $null 'unchanged' 'nothing was changed here, or it was undone') }
    for ($i = $rest.Count - 1; $i -ge 0; $i--) {
        $change = $rest[$i]
        $now = $null
        try {
            $now = Get-Setting $change.Kind $change.Item
            $isOurs = $now -eq $change.After
            if (-not $isOurs -and $now -ne $change.Before) {
                New-Result $change.Kind $change.Item $now $change.Before 'skipped' "was changed since: expected '$($change.After)'"
                continue
            }
            if (-not $PSCmdlet.ShouldProcess("$($change.Kind) $($change.Item)", "Put back '$($change.Before)'")) {
                New-Result $change.Kind $change.Item $now $change.Before 'skipped' ''
                continue
            }
            if ($isOurs) { Set-Setting $change.Kind $change.Item $change.Before }
            $rest = @($rest | Where-Object { $_ -ne $change })
            Save-Change $rest
            New-Result $change.Kind $change.Item $now $change.Before 'changed' ''
        }
        catch { New-Result $change.Kind $change.Item $now $change.Before 'failed' $_.Exception.Message }
    }
}

if (-not (Test-Administrator)) { throw 'run this as an administrator, in an elevated PowerShell' }
if ($Undo) {
    Undo-Change
    return
}
Invoke-Step 'service' 'WinRM' 'Automatic/Running' ''
Enable-Account
Enable-Quota
Enable-Listener
