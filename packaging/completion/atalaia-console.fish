# fish completion for atalaia-console
complete -c atalaia-console -f
set -l verbs init serve status token agents revoke task events import-events policy authority user backup restore rotate-ca
complete -c atalaia-console -n "not __fish_seen_subcommand_from $verbs" -a "$verbs"
complete -c atalaia-console -l config -r -F -d 'configuration file'
complete -c atalaia-console -l json -d 'one JSON document a line'
complete -c atalaia-console -l help
complete -c atalaia-console -n '__fish_seen_subcommand_from init' -l authority-keys -x
complete -c atalaia-console -n '__fish_seen_subcommand_from init' -l authority-threshold -x
complete -c atalaia-console -n '__fish_seen_subcommand_from init' -l two-signatures
complete -c atalaia-console -n '__fish_seen_subcommand_from token' -a 'list revoke'
complete -c atalaia-console -n '__fish_seen_subcommand_from token' -l uses -x
complete -c atalaia-console -n '__fish_seen_subcommand_from token' -l signature-root -r -F
complete -c atalaia-console -n '__fish_seen_subcommand_from token task' -l life -x
complete -c atalaia-console -n '__fish_seen_subcommand_from token agents' -l group -x
complete -c atalaia-console -n '__fish_seen_subcommand_from task' -a 'send sign submit show cancel list update.now update.cancel update.pin policy.refresh role.set scan.start scan.stop quarantine.list quarantine.restore collect status doctor agent.restart agent.group'
complete -c atalaia-console -n '__fish_seen_subcommand_from task' -l to -x -d 'agent, host, group:NAME or all'
complete -c atalaia-console -n '__fish_seen_subcommand_from task' -l wait
complete -c atalaia-console -n '__fish_seen_subcommand_from task' -l follow -d 'each change as a line'
complete -c atalaia-console -n '__fish_seen_subcommand_from task' -l timeout -x
complete -c atalaia-console -n '__fish_seen_subcommand_from task' -l args -x
complete -c atalaia-console -n '__fish_seen_subcommand_from task' -l draft -r -F
complete -c atalaia-console -n '__fish_seen_subcommand_from task authority' -l key -r -F
complete -c atalaia-console -n '__fish_seen_subcommand_from events' -l follow
complete -c atalaia-console -n '__fish_seen_subcommand_from events' -l class -x -a 'detection task telemetry'
complete -c atalaia-console -n '__fish_seen_subcommand_from events' -l type -x
complete -c atalaia-console -n '__fish_seen_subcommand_from events' -l agent -x
complete -c atalaia-console -n '__fish_seen_subcommand_from events' -l last -x
complete -c atalaia-console -n '__fish_seen_subcommand_from events' -l after -x
complete -c atalaia-console -n '__fish_seen_subcommand_from import-events' -l acks -r -F
complete -c atalaia-console -n '__fish_seen_subcommand_from policy' -a 'show set remove'
complete -c atalaia-console -n '__fish_seen_subcommand_from authority' -a 'show make rotate sign publish'
complete -c atalaia-console -n '__fish_seen_subcommand_from authority' -l out -r -F
complete -c atalaia-console -n '__fish_seen_subcommand_from authority' -l successor -r -F
complete -c atalaia-console -n '__fish_seen_subcommand_from authority' -l threshold -x
complete -c atalaia-console -n '__fish_seen_subcommand_from user' -a 'add set unlock remove list'
complete -c atalaia-console -n '__fish_seen_subcommand_from user' -l role -x -a 'administrator operator auditor'
complete -c atalaia-console -n '__fish_seen_subcommand_from user' -l groups -x
complete -c atalaia-console -n '__fish_seen_subcommand_from user' -l password-file -r -F
complete -c atalaia-console -n '__fish_seen_subcommand_from user' -l new-password
complete -c atalaia-console -n '__fish_seen_subcommand_from user' -l no-totp
complete -c atalaia-console -n '__fish_seen_subcommand_from backup restore authority import-events' -F
