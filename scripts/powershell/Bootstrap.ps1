# .SYNOPSIS
#   Runs one script that arrives on stdin and answers with one line of JSON.
# .DESCRIPTION
#   Sent as the -EncodedCommand of powershell.exe; it leaves nothing behind.
#   Stdin is base64 of UTF-8 JSON with name, script, params and, optionally,
#   modules: texts that are dot-sourced before the script. The last line of
#   stdout is the envelope that docs/scripts.md describes, in ASCII; the exit
#   code is 0 where its ok is true and 1 otherwise.
#
#   Strict mode is set in a scope of its own: set globally it would bind the
#   modules of Windows too, which are not written for it.
#
#   The sender strips comment lines, blank lines and leading spaces, so no
#   string here may span lines. The automatic variable for pipeline input must
#   not appear: PowerShell would then read stdin itself.
# .OUTPUTS
#   One line of JSON on stdout.
# .EXAMPLE
#   '<base64>' | powershell.exe -NoProfile -NonInteractive -EncodedCommand <this>
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
& {
    Set-StrictMode -Version 2.0
    $name = 'Bootstrap'
    $answer = [ordered]@{ v = 1; ok = $false; changed = $false; data = @{}; warnings = @(); error = $null }
    try {
        $text = [Console]::In.ReadToEnd() -replace '[^A-Za-z0-9+/=]', ''
        $call = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($text)) | ConvertFrom-Json
        $name = [string]$call.name
        $sent = @{}
        foreach ($p in $call.params.PSObject.Properties) { $sent[$p.Name] = $p.Value }
        if ($call.PSObject.Properties['modules']) {
            foreach ($module in $call.modules) { . ([ScriptBlock]::Create($module)) }
        }
        $block = [ScriptBlock]::Create($call.script)
        $found = @(& $block @sent) | Where-Object { $_ -is [Collections.IDictionary] } | Select-Object -Last 1
        if ($null -eq $found) { throw 'the script returned no dictionary' }
        $data = [ordered]@{}
        foreach ($key in @($found.Keys)) {
            if ($key -eq 'changed') { $answer.changed = [bool]$found[$key] }
            elseif ($key -eq 'warnings') { $answer.warnings = [object[]]@($found[$key]) }
            else { $data[$key] = $found[$key] }
        }
        $answer.data = $data
        $answer.ok = $true
    }
    catch {
        $e = $_
        $x = $e.Exception
        while ($x -is [Management.Automation.MethodInvocationException] -and $x.InnerException) { $x = $x.InnerException }
        $id = [string]$e.FullyQualifiedErrorId
        $code = ($id -split ',')[0]
        $at = $e.InvocationInfo
        if ($x -is [Management.Automation.ParameterBindingException] -and ($id -notlike '*,*' -or ($at -and $at.Line -like '*$block @sent*'))) { $code = 'bad_parameter' }
        elseif ($code -cmatch '^[a-z]+(_[a-z]+)+$' -and $id -cne [string]$e.TargetObject) { }
        elseif ($e.CategoryInfo.Category -eq 'PermissionDenied' -or $x.HResult -eq -2147024891 -or $id -match '0x80070005|0x80041003') { $code = 'access_denied' }
        else { $code = 'script_error' }
        $line = 0
        if ($at) { $line = $at.ScriptLineNumber }
        $where = ''
        if (([string]$e.ScriptStackTrace -split "`n")[0] -match '([A-Z][a-z]+-[A-Za-z]+)') { $where = $matches[1] + ':' }
        $answer.error = [ordered]@{ code = $code; message = [string]$x.Message; type = $x.GetType().FullName; at = "${name}:$where$line" }
    }
    $json = ConvertTo-Json -InputObject $answer -Depth 8 -Compress
    $json = [regex]::Replace($json, '[^\x20-\x7e]', { param($m) '\u{0:x4}' -f [int][char]$m.Value })
    [Console]::Out.WriteLine($json)
    exit [int](-not $answer.ok)
}
