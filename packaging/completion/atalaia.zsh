#compdef atalaia
local -a verbs options
verbs=(
    'status:identity, feeds, engine, role, spool, last tasks'
    'update:look for updates now'
    'why-old:the first broken link from clock to engine'
    'doctor:probe ports, clock, certificate, disk, engine'
    'policy:values that a policy file sets'
    'feeds:each feed with its sources'
    'sets:sets that are kept'
    'tasks:tasks of consoles'
    'events:events by class'
)
if (( CURRENT == 2 )); then
    _describe verb verbs
    return
fi
options=('--json[the document itself]' '--socket[socket of the agent]:path:_files'
    '--url[event port of the agent]:url:(http\://127.0.0.1\:2227)' '--help[more on this verb]')
case $words[2] in
update) options+=('--wait[until it has ended]' '--feed[this feed only]:feed:(signatures policies)') ;;
why-old|feeds) options+=('--feed[this feed only]:feed:(signatures policies)') ;;
doctor) options+=('--fix-hints[firewall rules for what was found]') ;;
policy) options+=('--explain[every value and the file that set it]') ;;
esac
_arguments '1:verb:' $options
