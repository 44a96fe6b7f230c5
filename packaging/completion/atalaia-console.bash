# bash completion for atalaia-console
_atalaia_console() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words
    case $prev in
    --config | --signature-root | --draft | --key | --out | backup | restore | make | sign | publish | submit | --acks | import-events)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --class) mapfile -t COMPREPLY < <(compgen -W 'detection task telemetry' -- "$cur"); return ;;
    --uses | --life | --group | --to | --timeout | --args | --type | --agent | --last | --after | \
        --authority-keys | --authority-threshold) return ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='init serve status token agents revoke task events import-events policy authority user backup restore
            rotate-ca --help --version'
    else
        words='--config --json --help'
        case ${COMP_WORDS[1]} in
        init) words="$words --authority-keys --authority-threshold --two-signatures" ;;
        token) words="$words list revoke --uses --life --group --signature-root" ;;
        agents) words="$words --group" ;;
        task) words="$words send sign submit show cancel list --to --life --wait --follow --timeout --args
            --draft --key update.now update.cancel update.pin policy.refresh role.set scan.start
            scan.stop quarantine.list quarantine.restore collect status doctor agent.restart agent.group" ;;
        events) words="$words --follow --class --type --agent --last --after" ;;
        import-events) words="$words --acks" ;;
        policy) words="$words show set remove default.json" ;;
        user) words="$words add set unlock remove list --role --groups --password-file --new-password --no-totp" ;;
        authority) words="$words show make rotate sign publish --successor --threshold --key --out" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _atalaia_console atalaia-console
