#compdef mailhandler
# Completion of mailhandler for zsh, made by scripts/manual.js of the table of commands.

_mailhandler() {
  local curcontext="$curcontext" state
  local -a commands=(
    'serve:receive mail until told to stop'
    'check:say what is wrong with a configuration'
    'catch:catch mail for tests\: SMTP on 1025, a page on 8025, nothing leaves'
    'init:write a configuration'
    'greylist:show and change what greylisting knows'
    'import-kamaelia:print the configuration for a greylist.conf of Kamaelia Grey'
    'password:make a line for the file of users'
    'version:show the version'
    'help:show this help, or that of a command'
  )
  _arguments -C '(- *)'{-h,--help}'[show this help]' '(- *)--version[show the version]' \
    '1: :->command' '*:: :->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $words[1] in
        serve)
          _arguments -s '(-c --config)-c[the configuration, in TOML (default mailhandler.toml if it is here, else the defaults)]:FILE:_files' \
            '(-c --config)--config=[the configuration, in TOML (default mailhandler.toml if it is here, else the defaults)]:FILE:_files' \
            '*-l[listen here instead; may be given several times (default 127.0.0.1\:2525)]:HOST\:PORT: ' \
            '*--listen=[listen here instead; may be given several times (default 127.0.0.1\:2525)]:HOST\:PORT: ' \
            '(-m --maildir)-m[deliver to this Maildir (default ./Maildir)]:DIR:_files -/' \
            '(-m --maildir)--maildir=[deliver to this Maildir (default ./Maildir)]:DIR:_files -/' \
            '*-u[pass mail on to this server, instead of to a Maildir; several are tried in their order]:HOST\:PORT: ' \
            '*--upstream=[pass mail on to this server, instead of to a Maildir; several are tried in their order]:HOST\:PORT: ' \
            '*-d[accept mail for this domain; may be given several times]:DOMAIN: ' \
            '*--domain=[accept mail for this domain; may be given several times]:DOMAIN: ' \
            '--name=[the name in the greeting (default the name of this host)]:HOST: ' \
            '(-w --workers)-w[processes that share the work (default 1)]:N: ' \
            '(-w --workers)--workers=[processes that share the work (default 1)]:N: ' \
            '--log-level=[debug, info, warn, error or silent (default info)]:LEVEL:(debug info warn error silent)' \
            '--metrics=[serve /metrics, /healthz and /readyz here (default\: nowhere)]:HOST\:PORT: ' \
            '(-h --help)-h[show this help]' \
            '(-h --help)--help[show this help]'
          ;;
        check)
          _arguments -s '(-c --config)-c[the configuration, in TOML (default mailhandler.toml if it is here, else the defaults)]:FILE:_files' \
            '(-c --config)--config=[the configuration, in TOML (default mailhandler.toml if it is here, else the defaults)]:FILE:_files' \
            '*-l[listen here instead; may be given several times (default 127.0.0.1\:2525)]:HOST\:PORT: ' \
            '*--listen=[listen here instead; may be given several times (default 127.0.0.1\:2525)]:HOST\:PORT: ' \
            '(-m --maildir)-m[deliver to this Maildir (default ./Maildir)]:DIR:_files -/' \
            '(-m --maildir)--maildir=[deliver to this Maildir (default ./Maildir)]:DIR:_files -/' \
            '*-u[pass mail on to this server, instead of to a Maildir; several are tried in their order]:HOST\:PORT: ' \
            '*--upstream=[pass mail on to this server, instead of to a Maildir; several are tried in their order]:HOST\:PORT: ' \
            '*-d[accept mail for this domain; may be given several times]:DOMAIN: ' \
            '*--domain=[accept mail for this domain; may be given several times]:DOMAIN: ' \
            '--name=[the name in the greeting (default the name of this host)]:HOST: ' \
            '(-w --workers)-w[processes that share the work (default 1)]:N: ' \
            '(-w --workers)--workers=[processes that share the work (default 1)]:N: ' \
            '--log-level=[debug, info, warn, error or silent (default info)]:LEVEL:(debug info warn error silent)' \
            '--metrics=[serve /metrics, /healthz and /readyz here (default\: nowhere)]:HOST\:PORT: ' \
            '(-h --help)-h[show this help]' \
            '(-h --help)--help[show this help]' \
            '--connect[connect to each upstream\: say what it offers, and whether TLS and AUTH work]'
          ;;
        catch)
          _arguments -s '(-l --listen)-l[take mail here (default 127.0.0.1\:1025)]:HOST\:PORT: ' \
            '(-l --listen)--listen=[take mail here (default 127.0.0.1\:1025)]:HOST\:PORT: ' \
            '(-p --page)-p[show it here (default 127.0.0.1\:8025)]:HOST\:PORT: ' \
            '(-p --page)--page=[show it here (default 127.0.0.1\:8025)]:HOST\:PORT: ' \
            '(-f --folder)-f[keep messages in this folder (default\: in memory)]:DIR:_files -/' \
            '(-f --folder)--folder=[keep messages in this folder (default\: in memory)]:DIR:_files -/' \
            '--messages=[keep the last N messages (default 10000)]:N: ' \
            '--size=[keep at most this many octets of messages\: 100MiB (default 256MiB)]:SIZE: ' \
            '--rules=[misbehave by these rules, in JSON]:FILE:_files' \
            '--cert=[offer STARTTLS with this certificate, in PEM]:FILE:_files' \
            '--key=[its private key]:FILE:_files' \
            '*--host=[a host name by which browsers may open the page]:NAME: ' \
            '(-h --help)-h[show this help]' \
            '(-h --help)--help[show this help]'
          ;;
        init)
          _arguments -s '*-d[accept mail for this domain; may be given several times]:DOMAIN: ' \
            '*--domain=[accept mail for this domain; may be given several times]:DOMAIN: ' \
            '--to=[a Maildir, a path with {local}, the host\:port of a mail server, or the https address of a service (default Maildir)]:WHERE: ' \
            '(-l --listen)-l[listen here (default 127.0.0.1\:2525)]:HOST\:PORT: ' \
            '(-l --listen)--listen=[listen here (default 127.0.0.1\:2525)]:HOST\:PORT: ' \
            '--tls=[the certificate and its key, as files in PEM (default\: no TLS)]:CERT,KEY: ' \
            '(-h --help)-h[show this help]' \
            '(-h --help)--help[show this help]' \
            '1: :_files'
          ;;
        greylist)
          _arguments -s '(-c --config)-c[the configuration, in TOML (default mailhandler.toml if it is here, else the defaults)]:FILE:_files' \
            '(-c --config)--config=[the configuration, in TOML (default mailhandler.toml if it is here, else the defaults)]:FILE:_files' \
            '*--log=[report\: read this log too, in JSON, - for standard input; may be given several times]:FILE:_files' \
            '--json[report\: print JSON]' \
            '(-h --help)-h[show this help]' \
            '(-h --help)--help[show this help]' \
            '1: :(stats list show allow forget export import report)' \
            '2: :_files'
          ;;
        import-kamaelia)
          _arguments -s '(-h --help)-h[show this help]' \
            '(-h --help)--help[show this help]' \
            '1: :_files'
          ;;
        password)
          _arguments -s '(-h --help)-h[show this help]' \
            '(-h --help)--help[show this help]'
          ;;
        version)
          _arguments -s '(-h --help)-h[show this help]' \
            '(-h --help)--help[show this help]'
          ;;
        help)
          _arguments -s '(-h --help)-h[show this help]' \
            '(-h --help)--help[show this help]' \
            '1: :(serve check catch init greylist import-kamaelia password version help)'
          ;;
      esac
      ;;
  esac
}

_mailhandler "$@"
