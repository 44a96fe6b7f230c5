#compdef atalaia-console
local -a verbs options
verbs=(
    'init:make CA, keys, policies feed and first authority'
    'serve:run the console'
    'status:what the running console holds'
    'user:who may log in at the web console'
    'token:print one enrolment token, list or revoke tokens'
    'agents:list the agents'
    'revoke:refuse an agent from now on'
    'task:send, sign, submit, show, cancel, list'
    'events:events of the fleet'
    'import-events:events from a stick'
    'policy:show, set, remove'
    'authority:show, make, sign, publish'
    'backup:everything in one file'
    'restore:into an empty state folder'
    'rotate-ca:a new CA signs from now on'
)
if (( CURRENT == 2 )); then
    _describe verb verbs
    return
fi
options=('--config[configuration file]:file:_files' '--json[one JSON document a line]' '--help[more]')
case $words[2] in
init) options+=('--authority-keys[offline keys]:n:' '--authority-threshold[how many must sign]:n:'
    '--two-signatures[some tasks need a second key]') ;;
token) options+=('2:what:(list revoke)' '--uses[PCs]:n:' '--life[time]:time:' '--group[group]:name:'
    '--signature-root[root.json of a feed]:file:_files') ;;
agents) options+=('--group[group]:name:') ;;
task) options+=('2:what:(send sign submit show cancel list)' '--to[agent, host, group or all]:target:'
    '--life[time]:time:' '--wait[for the outcome]' '--follow[each change]' '--timeout[time]:time:' '--args[JSON]:json:'
    '--draft[write the envelope]:file:_files' '--key[second key]:file:_files'
    '*:type:(update.now update.cancel update.pin policy.refresh role.set scan.start scan.stop quarantine.list quarantine.restore collect status doctor agent.restart agent.group)') ;;
events) options+=('--follow[go on]' '--class[class]:class:(detection task telemetry)' '--type[type]:type:'
    '--agent[agent]:id:' '--last[number]:n:' '--after[number]:n:') ;;
import-events) options+=('*:bundle:_files' '--acks[acknowledgements]:file:_files') ;;
policy) options+=('2:what:(show set remove)' '3:name:(default.json)' '4:file:_files') ;;
authority) options+=('2:what:(show make rotate sign publish)' '3:file:_files' '--key[key]:file:_files'
    '--out[staged]:file:_files' '--successor[new key]:file:_files' '--threshold[how many sign]:n:') ;;
user) options+=('2:what:(add set unlock remove list)' '--role[role]:role:(administrator operator auditor)'
    '--groups[groups]:groups:' '--password-file[password]:file:_files' '--new-password[made here]' '--no-totp[without a second factor]') ;;
backup|restore) options+=('2:file:_files') ;;
esac
_arguments '1:verb:' $options
