<#
.SYNOPSIS
    Calls of Sunshine: its list of apps, and the end of a session that it streams.
.DESCRIPTION
    Needs Common.ps1, Process.ps1, Firewall.ps1 and Session.ps1. An app of ours
    carries the session's id under orchestrator-session. The REST interface is on
    the port after Sunshine's base port, by HTTPS with a certificate that it
    signed itself. Its login comes in a parameter and goes nowhere else.
.OUTPUTS
    None; it defines functions.
.EXAMPLE
    # Needs: Sunshine.ps1
#>
#Requires -Version 5.1

$SessionKey = 'orchestrator-session'

function Get-SunshineLink {
    # How to call Sunshine: Port (of the REST interface) and Authorization.
    param([object] $Sunshine)
    $user = [string](Get-OptionalProperty $Sunshine 'user' '')
    $word = [string](Get-OptionalProperty $Sunshine 'password' '')
    if (-not $user -or -not $word) { throw (New-Failure 'bad_parameter' 'mode sunshine needs Sunshine, an object with port, user and password') }
    $basic = [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes("${user}:$word"))
    return [pscustomobject]@{ Port = 1 + [int](Get-OptionalProperty $Sunshine 'port' 47989); Authorization = "Basic $basic" }
}

function Find-Sunshine {
    # Sunshine's process, or null: the one that listens on the REST interface's
    # port. Where another program does, it must not be told the password.
    param([object] $Link, [object[]] $Snapshot)
    $hosts = @($Snapshot | Where-Object { $_.Name -eq 'sunshine.exe' })
    $owners = @(Get-PortOwner $Link.Port | Where-Object { $_ -gt 0 })
    foreach ($owner in $owners) {
        $listening = @($hosts | Where-Object { $_.Id -eq $owner })
        if ($listening.Count -gt 0) { return $listening[0] }
        throw (New-Failure 'sunshine_unreachable' "port $($Link.Port) belongs to $(Get-ProcessWord $owner $Snapshot), not to Sunshine")
    }
    return ($hosts | Sort-Object -Property Created, Id | Select-Object -First 1)
}

function Invoke-Sunshine {
    # One call of Sunshine's REST interface. A token against forged requests is
    # asked for before a change; versions that know none answer 404 to that.
    param([object] $Link, [string] $Method, [string] $Path, [object] $Body)
    $headers = @{ Authorization = $Link.Authorization }
    if ($Method -ne 'Get') {
        try { $headers['X-CSRF-Token'] = [string](Get-OptionalProperty (Send-LocalRequest $Link 'Get' 'csrf-token' $headers $null) 'csrf_token' '') }
        catch { Write-Verbose "no token: $($_.Exception.Message)" }
    }
    try { return (Send-LocalRequest $Link $Method $Path $headers $Body) }
    catch {
        $status = Get-OptionalProperty (Get-OptionalProperty $_.Exception 'Response') 'StatusCode'
        if ($null -eq $status) { throw (New-Failure 'sunshine_unreachable' "Sunshine does not answer on port $($Link.Port): $($_.Exception.Message)") }
        $number = [int]$status
        if ($number -eq 401) { throw (New-Failure 'sunshine_refused' 'Sunshine refuses the user or password') }
        throw (New-Failure 'sunshine_refused' "Sunshine answered $number to $Method ${Path}: $($_.Exception.Message)")
    }
}

function Send-LocalRequest {
    # HTTPS to this machine itself, whose certificate nobody vouches for.
    param([object] $Link, [string] $Method, [string] $Path, [hashtable] $Header, [object] $Body)
    $request = @{
        Uri             = "https://localhost:$($Link.Port)/api/$Path"
        Method          = $Method
        Headers         = $Header
        TimeoutSec      = 10
        UseBasicParsing = $true
        ErrorAction     = 'Stop'
    }
    if ($Method -ne 'Get') {
        $request['ContentType'] = 'application/json'
        $request['Body'] = '{}'
        if ($null -ne $Body) { $request['Body'] = ConvertTo-AsciiJson $Body }
    }
    if ((Get-Command -Name Invoke-RestMethod).Parameters.ContainsKey('SkipCertificateCheck')) { $request['SkipCertificateCheck'] = $true }
    else { Set-LocalTrust }
    return (Invoke-RestMethod @request)
}

function Set-LocalTrust {
    # Lets this process, which calls nobody but its own machine, take any
    # certificate. The delegate is compiled, because .NET may call it in a thread
    # that cannot run PowerShell.
    $kinds = @([object], [Security.Cryptography.X509Certificates.X509Certificate], [Security.Cryptography.X509Certificates.X509Chain], [Net.Security.SslPolicyErrors])
    $names = [Linq.Expressions.ParameterExpression[]]@($kinds | ForEach-Object { [Linq.Expressions.Expression]::Parameter($_) })
    $yes = [Linq.Expressions.Expression]::Constant($true)
    [Net.ServicePointManager]::ServerCertificateValidationCallback = [Linq.Expressions.Expression]::Lambda([Net.Security.RemoteCertificateValidationCallback], $yes, $names).Compile()
    [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
}

function Get-SunshineApp {
    # Sunshine's apps, each with Index, Name and Session (empty where not ours).
    param([object] $Link)
    $answer = Invoke-Sunshine $Link 'Get' 'apps' $null
    $apps = Get-OptionalProperty $answer 'apps'
    if ($null -eq $apps) { throw (New-Failure 'sunshine_refused' 'Sunshine did not answer with its apps: open its page once and set a user and password') }
    $index = 0
    foreach ($app in @($apps)) {
        [pscustomobject]@{ Index = $index; Name = [string](Get-OptionalProperty $app 'name' ''); Session = [string](Get-OptionalProperty $app $SessionKey '') }
        $index++
    }
}

function Remove-SunshineApp {
    # Takes a session's app out of Sunshine's list, which changes the index of
    # those after it.
    param([object] $Link, [string] $SessionId)
    foreach ($app in @(Get-SunshineApp $Link | Where-Object { $_.Session -eq $SessionId } | Sort-Object -Property Index -Descending)) {
        $null = Invoke-Sunshine $Link 'Delete' "apps/$($app.Index)" $null
    }
}

function Test-SunshineSession {
    # Whether a session is of mode sunshine, by its record or, where there is
    # none any more, by its launch: Sunshine itself is never ended.
    param([object] $Record, [object] $Asked)
    if ($null -ne $Record -or $null -eq $Asked) { return ($null -ne $Record -and $Record.mode -eq 'sunshine') }
    return ((Get-LeafName $Asked.Image) -eq 'sunshine.exe')
}

function Stop-Sunshine {
    # Ends a session that Sunshine streams: closes what it runs, takes the app
    # out of its list, removes the session's traces. Sunshine itself stays.
    param([string] $SessionId, [object] $Record, [object] $Asked, [object] $Sunshine)
    $snapshot = @(Get-ProcessSnapshot)
    $problem = Get-IdentityProblem $Asked $snapshot
    $known = $null
    if ($null -ne $Record) {
        if ($null -ne $problem -and $null -ne (Find-Process $snapshot $Record.launch)) { throw $problem }
        $known = $Record.launch
        if ($null -ne $Asked) { $known = $Asked }
    }
    $link = Get-SunshineLink $Sunshine
    $process = Find-Sunshine $link $snapshot
    $answer = [ordered]@{ changed = $false; warnings = [object[]]@(); session_id = $SessionId; how = 'already_gone'; ended = [object[]]@() }
    if ($null -eq $process) { $answer.warnings = [object[]]@('Sunshine does not run: an app of this session stays in its list') }
    else {
        if ($null -ne $known -and (Test-SameProcess $process $known)) {
            $ended = @(Get-ProcessTree $snapshot @(New-Identity $process) | Where-Object { $_.Id -ne $process.Id })
            $null = Invoke-Sunshine $link 'Post' 'apps/close' $null
            $answer.how = 'graceful'
            $answer.ended = [object[]]@($ended | ForEach-Object { [ordered]@{ pid = $_.Id; image = Get-Image $_ } })
        }
        Remove-SunshineApp $link $SessionId
    }
    $trace = Remove-SessionTrace $SessionId $Record $false
    $answer.changed = $trace.Removed
    $answer.warnings = [object[]]@($answer.warnings + $trace.Warnings)
    if ($null -ne $problem) { throw $problem }
    return $answer
}
