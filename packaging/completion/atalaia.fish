# fish completion for atalaia
complete -c atalaia -f
set -l verbs status update why-old doctor policy feeds sets tasks events
set -l first "not __fish_seen_subcommand_from $verbs"
complete -c atalaia -n $first -a status -d 'identity, feeds, engine, role, spool, last tasks'
complete -c atalaia -n $first -a update -d 'look for updates now'
complete -c atalaia -n $first -a why-old -d 'the first broken link from clock to engine'
complete -c atalaia -n $first -a doctor -d 'probe ports, clock, certificate, disk, engine'
complete -c atalaia -n $first -a policy -d 'values that a policy file sets'
complete -c atalaia -n $first -a feeds -d 'each feed with its sources'
complete -c atalaia -n $first -a sets -d 'sets that are kept'
complete -c atalaia -n $first -a tasks -d 'tasks of consoles'
complete -c atalaia -n $first -a events -d 'events by class'
complete -c atalaia -l json -d 'the document itself'
complete -c atalaia -l socket -r -F -d 'socket of the agent'
complete -c atalaia -l url -x -d 'event port of the agent'
complete -c atalaia -l help
complete -c atalaia -n '__fish_seen_subcommand_from update' -l wait -d 'until it has ended'
complete -c atalaia -n '__fish_seen_subcommand_from update why-old feeds' -l feed -x -a 'signatures policies'
complete -c atalaia -n '__fish_seen_subcommand_from doctor' -l fix-hints -d 'firewall rules for what was found'
complete -c atalaia -n '__fish_seen_subcommand_from policy' -l explain -d 'every value and the file that set it'
