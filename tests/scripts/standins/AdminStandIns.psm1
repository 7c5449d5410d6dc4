<#
.SYNOPSIS
    Stand-ins for what an administrator sets up: WinRM, accounts, registry.
.DESCRIPTION
    Loaded after WindowsStandIns.psm1, which has the firewall. Its state is its
    own, in memory or, where nobody has put one there, in a JSON file named by
    ORCHESTRATOR_STANDINS_ADMIN: winrm (a table for each resource), listeners,
    certificates, users, members (by the group's SID), registry, sddl, service,
    classes (rows of WMI classes), elevated and denied (names of commands).
.OUTPUTS
    None; it exports functions.
.EXAMPLE
    Import-Module ./StandInServer.psm1
#>

$script:File = $env:ORCHESTRATOR_STANDINS_ADMIN

$script:Memory = $null

function Initialize-AdminState {
    # From now on the state is this table.
    param([hashtable] $State)
    $script:Memory = $State
}

function Read-Admin {
    if ($null -ne $script:Memory) { return $script:Memory }
    [System.IO.File]::ReadAllText($script:File) | ConvertFrom-Json -AsHashtable
}

function Edit-Admin {
    # Runs Body with the state and keeps what it changed.
    [CmdletBinding()]
    param([string] $Command, [scriptblock] $Body)
    $state = Read-Admin
    $state.calls += $Command
    if ($state.denied -contains $Command) {
        $exception = [System.UnauthorizedAccessException]::new('Access is denied.')
        throw [System.Management.Automation.ErrorRecord]::new($exception, "AccessDenied,$Command", 'PermissionDenied', $null)
    }
    & $Body $state
    if ($null -eq $script:Memory) { [System.IO.File]::WriteAllText($script:File, (ConvertTo-Json -InputObject $state -Depth 8)) }
}

function New-NotFound {
    [CmdletBinding()]
    param([string] $Message)
    [System.Management.Automation.ErrorRecord]::new([System.InvalidOperationException]::new($Message), 'NotFound', 'ObjectNotFound', $null)
}

function Get-Service {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Name)
    $type, $status = (Read-Admin).service -split '/'
    [pscustomobject]@{ Name = $Name; StartType = $type; Status = $status }
}

function Set-Service {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Name, [Parameter(Mandatory)] [ValidateSet('Automatic', 'Manual', 'Disabled')] [string] $StartupType)
    Edit-Admin "Set-Service" { param($s) $s.service = "$StartupType/" + ($s.service -split '/')[1] }
}

function Start-Service {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Name)
    Edit-Admin 'Start-Service' { param($s) $s.service = ($s.service -split '/')[0] + '/Running' }
}

function Stop-Service {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Name, [switch] $Force)
    Edit-Admin 'Stop-Service' { param($s) $s.service = ($s.service -split '/')[0] + '/Stopped' }
}

function Get-WSManInstance {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $ResourceURI, [switch] $Enumerate)
    $state = Read-Admin
    if ($state.denied -contains 'Get-WSManInstance') { throw [System.UnauthorizedAccessException]::new('Access is denied.') }
    if ($Enumerate) { return @($state.listeners | ForEach-Object { [pscustomobject]$_ }) }
    [pscustomobject]$state.winrm[$ResourceURI]
}

function Set-WSManInstance {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $ResourceURI, [hashtable] $SelectorSet, [Parameter(Mandatory)] [hashtable] $ValueSet)
    Edit-Admin 'Set-WSManInstance' {
        param($s)
        $target = $s.winrm[$ResourceURI]
        if ($SelectorSet) { $target = @($s.listeners | Where-Object { $_.Transport -eq $SelectorSet.Transport -and $_.Address -eq $SelectorSet.Address })[0] }
        foreach ($key in $ValueSet.Keys) {
            if (-not $target.ContainsKey($key)) { throw "no setting $key in $ResourceURI" }
            $target[$key] = $ValueSet[$key]
        }
    }
}

function New-WSManInstance {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $ResourceURI, [Parameter(Mandatory)] [hashtable] $SelectorSet, [Parameter(Mandatory)] [hashtable] $ValueSet)
    Edit-Admin 'New-WSManInstance' { param($s) $s.listeners += @{ Address = $SelectorSet.Address; Transport = $SelectorSet.Transport; Port = $ValueSet.Port; CertificateThumbprint = $ValueSet.CertificateThumbprint } }
}

function Remove-WSManInstance {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $ResourceURI, [Parameter(Mandatory)] [hashtable] $SelectorSet)
    Edit-Admin 'Remove-WSManInstance' { param($s) $s.listeners = @($s.listeners | Where-Object { $_.Transport -ne $SelectorSet.Transport }) }
}

function New-SelfSignedCertificate {
    [CmdletBinding()]
    param([string[]] $DnsName, [string] $CertStoreLocation, [string] $FriendlyName, [datetime] $NotAfter)
    Edit-Admin 'New-SelfSignedCertificate' { param($s) $s.certificates += @{ Thumbprint = 'AB' * 20; Name = $FriendlyName } }
    [pscustomobject]@{ Thumbprint = 'AB' * 20; RawData = [byte[]](1..100) }
}

function Get-ChildItem {
    [CmdletBinding()]
    param([Parameter(Position = 0)] [string] $Path, [string] $LiteralPath, [string] $Filter, [switch] $Force, [switch] $Recurse, [switch] $File, [switch] $Name)
    if ($Path -notlike 'Cert:*') { return (Microsoft.PowerShell.Management\Get-ChildItem @PSBoundParameters) }
    (Read-Admin).certificates | ForEach-Object { [pscustomobject]@{ Thumbprint = $_.Thumbprint; RawData = [byte[]](1..100) } }
}

function Remove-Item {
    [CmdletBinding()]
    param([Parameter(Position = 0)] [string] $Path, [string] $LiteralPath, [switch] $Force, [switch] $Recurse, [switch] $DeleteKey)
    if ($LiteralPath -notlike 'Cert:*') { return (Microsoft.PowerShell.Management\Remove-Item @PSBoundParameters) }
    Edit-Admin 'Remove-Item' { param($s) $s.certificates = @($s.certificates | Where-Object { $_.Thumbprint -ne $LiteralPath.Split('\')[-1] }) }
}

function Get-LocalUser {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Name)
    $user = @((Read-Admin).users | Where-Object { $_.Name -eq $Name })
    if ($user.Count -eq 0) { $PSCmdlet.WriteError((New-NotFound "no user $Name")) }
    $user | ForEach-Object { [pscustomobject]$_ }
}

function New-LocalUser {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Name, [Parameter(Mandatory)] [securestring] $Password, [switch] $PasswordNeverExpires, [switch] $AccountNeverExpires, [ValidateLength(0, 48)] [string] $Description)
    Edit-Admin 'New-LocalUser' { param($s) $s.users += @{ Name = $Name; SID = 'S-1-5-21-1-2-3-1001'; Enabled = $true } }
    [pscustomobject]@{ Name = $Name }
}

function Remove-LocalUser {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Name)
    Edit-Admin 'Remove-LocalUser' { param($s) $s.users = @($s.users | Where-Object { $_.Name -ne $Name }) }
}

function Get-LocalGroupMember {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $SID)
    (Read-Admin).members[$SID] | Where-Object { $_ } | ForEach-Object { [pscustomobject]@{ Name = "GAME01\$_" } }
}

function Add-LocalGroupMember {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $SID, [Parameter(Mandatory)] [string] $Member)
    Edit-Admin 'Add-LocalGroupMember' { param($s) $s.members[$SID] = @($s.members[$SID] | Where-Object { $_ }) + $Member }
}

function Remove-LocalGroupMember {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $SID, [Parameter(Mandatory)] [string] $Member)
    Edit-Admin 'Remove-LocalGroupMember' { param($s) $s.members[$SID] = @($s.members[$SID] | Where-Object { $_ -and $_ -ne $Member }) }
}

function Get-ItemProperty {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $LiteralPath, [Parameter(Mandatory)] [string] $Name)
    $values = (Read-Admin).registry
    if (-not $values.ContainsKey($Name)) { throw (New-NotFound "no value $Name in $LiteralPath") }
    [pscustomobject]@{ $Name = $values[$Name] }
}

function New-ItemProperty {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $LiteralPath, [Parameter(Mandatory)] [string] $Name, [int] $Value, [ValidateSet('DWord')] [string] $PropertyType, [switch] $Force)
    Edit-Admin 'New-ItemProperty' { param($s) $s.registry[$Name] = $Value }
}

function Remove-ItemProperty {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $LiteralPath, [Parameter(Mandatory)] [string] $Name)
    Edit-Admin 'Remove-ItemProperty' { param($s) $s.registry.Remove($Name) }
}

function Invoke-CimMethod {
    # A binary descriptor is the SDDL's own bytes here.
    [CmdletBinding()]
    param([string] $Namespace, [string] $ClassName, [Parameter(Mandatory)] [string] $MethodName, [hashtable] $Arguments, $InputObject)
    switch ($MethodName) {
        'GetSD' { return [pscustomobject]@{ ReturnValue = 0; SD = [System.Text.Encoding]::ASCII.GetBytes((Read-Admin).sddl) } }
        'BinarySDToSDDL' { return [pscustomobject]@{ ReturnValue = 0; SDDL = [System.Text.Encoding]::ASCII.GetString([byte[]]$Arguments.BinarySD) } }
        'SDDLToBinarySD' { return [pscustomobject]@{ ReturnValue = 0; BinarySD = [System.Text.Encoding]::ASCII.GetBytes($Arguments.SDDL) } }
        'SetSD' {
            Edit-Admin 'SetSD' { param($s) $s.sddl = [System.Text.Encoding]::ASCII.GetString([byte[]]$Arguments.SD) }
            return [pscustomobject]@{ ReturnValue = 0 }
        }
        default { return (WindowsStandIns\Invoke-CimMethod -InputObject $InputObject -MethodName $MethodName) }
    }
}

function Get-CimInstance {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $ClassName, [string] $Filter)
    $rows = (Read-Admin).classes
    if (-not $rows.ContainsKey($ClassName)) { return (WindowsStandIns\Get-CimInstance @PSBoundParameters) }
    $rows[$ClassName] | ForEach-Object { [pscustomobject]$_ }
}

function Get-NetUDPEndpoint {
    [CmdletBinding()]
    param()
    throw (New-NotFound 'no endpoint')
}

function Test-AdministratorStandIn { (Read-Admin).elevated }

New-Alias -Name Test-Administrator -Value Test-AdministratorStandIn
Export-ModuleMember -Alias Test-Administrator -Function *-*
