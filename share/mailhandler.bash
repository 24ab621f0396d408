# Completion of mailhandler for bash, made by scripts/manual.js of the table of commands.

_mailhandler() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words='' files=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W 'serve check catch init greylist import-kamaelia password version help --help --version' -- "$word")
    return
  fi
  case $before in
    -c | --config) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    -l | --listen) return ;;
    -m | --maildir) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
    -u | --upstream) return ;;
    -d | --domain) return ;;
    --name) return ;;
    -w | --workers) return ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W 'debug info warn error silent' -- "$word"); return ;;
    --metrics) return ;;
    -p | --page) return ;;
    -f | --folder) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
    --messages) return ;;
    --size) return ;;
    --rules) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --cert) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --key) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --host) return ;;
    --to) return ;;
    --tls) return ;;
    --log) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
  esac
  case ${COMP_WORDS[1]} in
    serve) words='-c --config -l --listen -m --maildir -u --upstream -d --domain --name -w --workers --log-level --metrics -h --help' ;;
    check) words='-c --config -l --listen -m --maildir -u --upstream -d --domain --name -w --workers --log-level --metrics -h --help --connect' ;;
    catch) words='-l --listen -p --page -f --folder --messages --size --rules --cert --key --host -h --help' ;;
    init) words='-d --domain --to -l --listen --tls -h --help' files=-f ;;
    greylist) words='-c --config --log --json -h --help stats list show allow forget export import report'; [ "$COMP_CWORD" -eq 2 ] || files=-f ;;
    import-kamaelia) words='-h --help' files=-f ;;
    password) words='-h --help' ;;
    version) words='-h --help' ;;
    help) words='-h --help serve check catch init greylist import-kamaelia password version help' ;;
  esac
  # shellcheck disable=SC2086 # nothing or -f
  mapfile -t COMPREPLY < <(compgen $files -W "$words" -- "$word")
}

complete -F _mailhandler mailhandler
