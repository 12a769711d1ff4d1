# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pxectl_global_optspecs
    string join \n i/inventory= state= bundles= format= log-format= q/quiet v/verbose color= h/help V/version
end

function __fish_pxectl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pxectl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pxectl_using_subcommand
    set -l cmd (__fish_pxectl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pxectl -n "__fish_pxectl_needs_command" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_needs_command" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_needs_command" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_needs_command" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_needs_command" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_needs_command" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_needs_command" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_needs_command" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_needs_command" -s V -l version -d 'Print version'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "init" -d 'Write a commented example inventory to start from'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "validate" -d 'Check an inventory, and report all errors at once'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "render" -d 'Show the boot script and the seeds that an armed host is served'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "serve" -d 'Answer the machines of the site, in the foreground'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "host" -d 'List hosts, arm them for an install, and set them aside'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "store" -d 'Create, back up, restore and copy the store of a site'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "bmc" -d 'Control machines through their BMCs: power, next boot, virtual media, console, log'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "bundle" -d 'Build, sign, copy and clean up bundles: versioned, pinned sets of files to install'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "capture" -d 'Explain how machines boot, from live packets or a capture file'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "rehearse" -d 'Play the firmware of hosts through their whole boot chain, without hardware'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "completions" -d 'Print the completion script for a shell'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "man" -d 'Print the manual page of a command, or write all pages'
complete -c pxectl -n "__fish_pxectl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand init" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand init" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand init" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand init" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand init" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand init" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand init" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand init" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand validate" -l deny -d 'Treat warnings as errors' -r -f -a "warnings\t'Exit with status 1 if there are warnings'"
complete -c pxectl -n "__fish_pxectl_using_subcommand validate" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand validate" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand validate" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand validate" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand validate" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand validate" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand validate" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand validate" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand validate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -l as -d 'Render one file: boot.ipxe, grub.cfg, pxelinux.cfg, or a seed such as user-data or preseed.cfg [default: the script of the host\'s loader, and its seeds]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -l out -d 'Write the files to DIR/HOST/' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -l context -d 'Print the variables that templates can use, as JSON'
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand render" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -l dhcp-port -d 'Port of DHCP; on any but 67, replies go back to their sender' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -l tftp-port -d 'Port of TFTP' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -l http-port -d 'Port of HTTP; the URLs that machines are given stay those of the site [default: `server.http_port` of the site]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -l listen -d 'Address to listen on for TFTP and HTTP [default: all]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -l witness -d 'Directory of the witness file, outside the state directory and its backups [default: /var/lib/pxectl-witness for root, else pxectl/witness in the XDG data directory]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -f -a "dhcp" -d 'Give out addresses and boot files'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -f -a "tftp" -d 'Serve loaders, their configurations, and kernels to loaders that know no HTTP'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -f -a "http" -d 'Serve scripts, sessions and bundles'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -f -a "all" -d 'All three, in one process'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and not __fish_seen_subcommand_from dhcp tftp http all help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -l dhcp-port -d 'Port of DHCP; on any but 67, replies go back to their sender' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -l tftp-port -d 'Port of TFTP' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -l http-port -d 'Port of HTTP; the URLs that machines are given stay those of the site [default: `server.http_port` of the site]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -l listen -d 'Address to listen on for TFTP and HTTP [default: all]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -l witness -d 'Directory of the witness file, outside the state directory and its backups [default: /var/lib/pxectl-witness for root, else pxectl/witness in the XDG data directory]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from dhcp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -l dhcp-port -d 'Port of DHCP; on any but 67, replies go back to their sender' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -l tftp-port -d 'Port of TFTP' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -l http-port -d 'Port of HTTP; the URLs that machines are given stay those of the site [default: `server.http_port` of the site]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -l listen -d 'Address to listen on for TFTP and HTTP [default: all]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -l witness -d 'Directory of the witness file, outside the state directory and its backups [default: /var/lib/pxectl-witness for root, else pxectl/witness in the XDG data directory]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from tftp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -l dhcp-port -d 'Port of DHCP; on any but 67, replies go back to their sender' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -l tftp-port -d 'Port of TFTP' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -l http-port -d 'Port of HTTP; the URLs that machines are given stay those of the site [default: `server.http_port` of the site]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -l listen -d 'Address to listen on for TFTP and HTTP [default: all]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -l witness -d 'Directory of the witness file, outside the state directory and its backups [default: /var/lib/pxectl-witness for root, else pxectl/witness in the XDG data directory]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from http" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -l dhcp-port -d 'Port of DHCP; on any but 67, replies go back to their sender' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -l tftp-port -d 'Port of TFTP' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -l http-port -d 'Port of HTTP; the URLs that machines are given stay those of the site [default: `server.http_port` of the site]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -l listen -d 'Address to listen on for TFTP and HTTP [default: all]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -l witness -d 'Directory of the witness file, outside the state directory and its backups [default: /var/lib/pxectl-witness for root, else pxectl/witness in the XDG data directory]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from all" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from help" -f -a "dhcp" -d 'Give out addresses and boot files'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from help" -f -a "tftp" -d 'Serve loaders, their configurations, and kernels to loaders that know no HTTP'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from help" -f -a "http" -d 'Serve scripts, sessions and bundles'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from help" -f -a "all" -d 'All three, in one process'
complete -c pxectl -n "__fish_pxectl_using_subcommand serve; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -f -a "list" -d 'List hosts with their phases'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -f -a "show" -d 'Show one host: its phase, its session and its latest events'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -f -a "provision" -d 'Arm hosts: the next time one boots from the network, before the deadline, it installs'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -f -a "cancel" -d 'Disarm hosts: their sessions end, and they no longer install'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -f -a "quarantine" -d 'Quarantine hosts: they boot nothing until they are released'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -f -a "retire" -d 'Take hosts out of service for good: they boot nothing'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -f -a "release" -d 'Release hosts that are quarantined or retired'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and not __fish_seen_subcommand_from list show provision cancel quarantine retire release help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from show" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from show" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from show" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from show" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from show" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from show" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -l deadline -d 'Time limit of the install, from boot to end, at least 1m [default: `provisioning.deadline` of the site]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -s y -l yes -d 'Arm several hosts without a prompt'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -l allow-retired -d 'Arm hosts even if their bundle is retired'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from provision" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from cancel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -l reason -d 'Reason to show on the screen of the machine' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from quarantine" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from retire" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "list" -d 'List hosts with their phases'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one host: its phase, its session and its latest events'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "provision" -d 'Arm hosts: the next time one boots from the network, before the deadline, it installs'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "cancel" -d 'Disarm hosts: their sessions end, and they no longer install'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "quarantine" -d 'Quarantine hosts: they boot nothing until they are released'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "retire" -d 'Take hosts out of service for good: they boot nothing'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "release" -d 'Release hosts that are quarantined or retired'
complete -c pxectl -n "__fish_pxectl_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -f -a "create" -d 'Create an empty store, in which no host is armed'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -f -a "backup" -d 'Back up the store and the leases to one file, while servers run'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -f -a "restore" -d 'Create the store from a backup, with its open sessions suspended'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -f -a "copy" -d 'Copy the store to another directory, with open sessions suspended in the copy'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -f -a "accept-clock" -d 'Accept a clock that is behind the store\'s latest time, after closing all sessions'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and not __fish_seen_subcommand_from create backup restore copy accept-clock help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from create" -l witness -d 'Directory of the witness file, outside the state directory and its backups [default: /var/lib/pxectl-witness for root, else pxectl/witness in the XDG data directory]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from create" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from create" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from create" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from create" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from create" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from create" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from backup" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from backup" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from backup" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from backup" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from backup" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from backup" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from backup" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from backup" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from restore" -l witness -d 'Directory of the witness file, outside the state directory and its backups [default: /var/lib/pxectl-witness for root, else pxectl/witness in the XDG data directory]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from restore" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from restore" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from restore" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from restore" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from restore" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from restore" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from restore" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from restore" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from copy" -l witness -d 'Directory of the witness file, outside the state directory and its backups [default: /var/lib/pxectl-witness for root, else pxectl/witness in the XDG data directory]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from copy" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from copy" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from copy" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from copy" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from copy" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from copy" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from copy" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from copy" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from copy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from accept-clock" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from accept-clock" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from accept-clock" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from accept-clock" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from accept-clock" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from accept-clock" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from accept-clock" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from accept-clock" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from accept-clock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "create" -d 'Create an empty store, in which no host is armed'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "backup" -d 'Back up the store and the leases to one file, while servers run'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Create the store from a backup, with its open sessions suspended'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "copy" -d 'Copy the store to another directory, with open sessions suspended in the copy'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "accept-clock" -d 'Accept a clock that is behind the store\'s latest time, after closing all sessions'
complete -c pxectl -n "__fish_pxectl_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "status" -d 'Show power, next boot, Secure Boot, health, identity and boot order of machines'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "power" -d 'Turn machines on or off, or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "boot-pxe" -d 'Boot machines from the network (PXE) once, and start or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "boot-http" -d 'Boot machines from the network (UEFI HTTP boot) once, and start or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "boot-disk" -d 'Boot machines from their disk once, and start or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "media" -d 'Insert an image into the virtual CD drive of machines, or eject it'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "console" -d 'Open the serial console of a machine'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "log" -d 'Show the event logs of BMCs'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "inventory" -d 'Show the hardware of machines, and the differences from the inventory'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "pin" -d 'Accept the certificates of BMCs after a replacement or a renewal'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and not __fish_seen_subcommand_from status power boot-pxe boot-http boot-disk media console log inventory pin help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -s j -l jobs -d 'Number of BMCs to contact in parallel' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -l timeout -d 'Time limit for each host, including its self-test' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -s j -l jobs -d 'Number of BMCs to contact in parallel' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -l timeout -d 'Time limit for each host, including its self-test' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -l dry-run -d 'Only read from the BMCs, and print the requests that would change something'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -s y -l yes -d 'Continue without a prompt'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from power" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -s j -l jobs -d 'Number of BMCs to contact in parallel' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -l timeout -d 'Time limit for each host, including its self-test' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -l dry-run -d 'Only read from the BMCs, and print the requests that would change something'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -s y -l yes -d 'Continue without a prompt'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -l no-power -d 'Do not start or reset the machine; the setting waits for its next boot'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-pxe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l url -d 'URL of a loader or a disk image for the firmware' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -s j -l jobs -d 'Number of BMCs to contact in parallel' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l timeout -d 'Time limit for each host, including its self-test' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l static -d 'Set a static address from the inventory in the firmware; it stays set (HPE only)'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l dry-run -d 'Only read from the BMCs, and print the requests that would change something'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -s y -l yes -d 'Continue without a prompt'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -l no-power -d 'Do not start or reset the machine; the setting waits for its next boot'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-http" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -s j -l jobs -d 'Number of BMCs to contact in parallel' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -l timeout -d 'Time limit for each host, including its self-test' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -l dry-run -d 'Only read from the BMCs, and print the requests that would change something'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -s y -l yes -d 'Continue without a prompt'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -l no-power -d 'Do not start or reset the machine; the setting waits for its next boot'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from boot-disk" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -f -a "insert" -d 'Insert an image'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -f -a "eject" -d 'Eject the image'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from media" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -l escape -d 'Character that starts a command to the console, after a line break' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -l timeout -d 'Time limit for finding the console' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -l take-over -d 'End another session on the console first'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -l ipmi -d 'Use IPMI even if Redfish does not offer it'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from console" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -l since -d 'Show entries since a time, such as `2h`, `2026-11-29` or `2026-11-29T12:00:00Z`' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -s n -l lines -d 'Number of newest entries to show for each host' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -l log -d 'Read only the log with this name, such as `SEL` or `IML`' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -s j -l jobs -d 'Number of BMCs to contact in parallel' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -l timeout -d 'Time limit for each host, including its self-test' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -s f -l follow -d 'Show new entries as they appear, until interrupted'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -s j -l jobs -d 'Number of BMCs to contact in parallel' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -l timeout -d 'Time limit for each host, including its self-test' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -l write -d 'Print only the corrected documents of hosts that differ'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from inventory" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -s j -l jobs -d 'Number of BMCs to contact in parallel' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -l timeout -d 'Time limit for each host, including its self-test' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -l dry-run -d 'Only read from the BMCs, and print the requests that would change something'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -s y -l yes -d 'Continue without a prompt'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from pin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show power, next boot, Secure Boot, health, identity and boot order of machines'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "power" -d 'Turn machines on or off, or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "boot-pxe" -d 'Boot machines from the network (PXE) once, and start or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "boot-http" -d 'Boot machines from the network (UEFI HTTP boot) once, and start or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "boot-disk" -d 'Boot machines from their disk once, and start or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "media" -d 'Insert an image into the virtual CD drive of machines, or eject it'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "console" -d 'Open the serial console of a machine'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "log" -d 'Show the event logs of BMCs'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "inventory" -d 'Show the hardware of machines, and the differences from the inventory'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "pin" -d 'Accept the certificates of BMCs after a replacement or a renewal'
complete -c pxectl -n "__fish_pxectl_using_subcommand bmc; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "build" -d 'Build a bundle: verify its files, store them, and print the document that pins them'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "fetch" -d 'Fetch the files that the inventory\'s bundles pin and the store lacks'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "publish" -d 'Copy a bundle to a registry, a tar file or another directory'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "pull" -d 'Copy a bundle from a registry, a tar file or another directory, and print its document'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "list" -d 'List the bundles in the store with their size, age, expiry, signatures and users'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "outdated" -d 'List the inventory\'s bundles whose publisher has a newer release'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "verify" -d 'Hash all files of the bundles in the store, and check the signatures'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "sign" -d 'Sign a bundle of the store, and print its document with the signature'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "keygen" -d 'Create a key for signing bundles, in minisign\'s format'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "retire" -d 'Mark a bundle as no longer to be used'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "gc" -d 'Remove retired bundles and unreferenced files'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and not __fish_seen_subcommand_from build fetch publish pull list outdated verify sign keygen retire gc help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -s o -l out -d 'Write the Bundle document to this file, which must be new or this bundle\'s document' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l preset -d 'Build from the files that a distribution publishes, without a spec' -r -f -a "ubuntu-22.04\t''
ubuntu-24.04\t''
ubuntu-26.04\t''
debian-12\t''
debian-13\t''
fedora-42\t''
fedora-43\t''
fedora-44\t''
rhel-9\t''
rhel-10\t''
centos-stream-9\t''
centos-stream-10\t''
almalinux-9\t''
almalinux-10\t''
rocky-9\t''
rocky-10\t''
leap-micro-6.0\t''
leap-micro-6.1\t''
leap-micro-6.2\t''
flatcar-stable\t''
flatcar-beta\t''
flatcar-alpha\t''
flatcar-lts\t''
fedora-coreos-stable\t''
fedora-coreos-testing\t''
fedora-coreos-next\t''
kairos-ubuntu-24.04\t''
kairos-fedora-40\t''
kairos-rocky-9.6\t''
kairos-hadron-v0.4.0\t''
kairos-hadron-v0.5.1\t''
talos\t''"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l mirror -d 'Use a mirror with the publisher\'s layout [default: the publisher\'s own]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l name -d 'Name of the bundle [default: the preset\'s]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l arch -d 'Processor, as `uname -m` prints it' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l release -d 'Release, if the preset needs one, such as v1.10.0 of Talos' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l keyring -d 'File with the publisher\'s keys [default: the preset\'s]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l expires -d 'First day on which the bundle must not be installed' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -s j -l jobs -d 'Number of files to process at the same time' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l retries -d 'Number of retries for a download that makes no progress' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -l from -d 'Fetch from here, not from the recorded sources' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -s j -l jobs -d 'Number of files to process at the same time' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -l retries -d 'Number of retries for a download that makes no progress' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from fetch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -l ca -d 'Trust the certificates in this file, too' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -s j -l jobs -d 'Number of files to copy at the same time to or from a registry' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -l retries -d 'Number of retries when the registry is busy or the connection breaks' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -l plain-http -d 'Use HTTP without TLS: others on the network can read the credentials'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from publish" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l out -d 'Write the document to this file, which must be new or this bundle\'s document' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l arch -d 'Processor to choose in an image for several: x86_64, aarch64, …' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l ca -d 'Trust the certificates in this file, too' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -s j -l jobs -d 'Number of files to copy at the same time to or from a registry' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l retries -d 'Number of retries when the registry is busy or the connection breaks' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l allow-unsigned -d 'Accept a bundle without a valid signature, to sign it here'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l plain-http -d 'Use HTTP without TLS: others on the network can read the credentials'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from list" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from list" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from list" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from list" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from list" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from list" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -l spec -d 'Find the publisher by the spec that the bundle with its name was built from' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -s j -l jobs -d 'Number of bundles to check at the same time' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -l retries -d 'Number of retries for a publisher that does not respond' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -l all -d 'List all bundles, also those with the newest release'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from outdated" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from verify" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from verify" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from verify" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from verify" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from verify" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from verify" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -l key -d 'File with the secret key' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -l signature -d 'File with a signature from minisign' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -l expires -d 'Change the first day on which the bundle must not be installed' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -l out -d 'Write the document to this file, which must be new or this bundle\'s document' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -l print -d 'Print the content to sign, without signing it'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from sign" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from keygen" -l out -d 'File for the secret key, which must not exist yet' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from keygen" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from keygen" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from keygen" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from keygen" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from keygen" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from keygen" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from keygen" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from keygen" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from keygen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -l reason -d 'Reason, for those who still use the bundle [default: a newer bundle is available]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -l undo -d 'Use the bundle again'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from retire" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -l min-age -d 'Minimum age of unreferenced files, and of unused bundles that are not retired' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -l also -d 'Another inventory that uses the bundle store, and its state store if that is elsewhere' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -l dry-run -d 'Show what would be removed, without removing it'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -s y -l yes -d 'Remove without a prompt'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -l unused -d 'Remove unused bundles that are not retired, too'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -l no-running-installs -d 'Assert that no install is running, for a site without a state store'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "build" -d 'Build a bundle: verify its files, store them, and print the document that pins them'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "fetch" -d 'Fetch the files that the inventory\'s bundles pin and the store lacks'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "publish" -d 'Copy a bundle to a registry, a tar file or another directory'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "pull" -d 'Copy a bundle from a registry, a tar file or another directory, and print its document'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the bundles in the store with their size, age, expiry, signatures and users'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "outdated" -d 'List the inventory\'s bundles whose publisher has a newer release'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Hash all files of the bundles in the store, and check the signatures'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "sign" -d 'Sign a bundle of the store, and print its document with the signature'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "keygen" -d 'Create a key for signing bundles, in minisign\'s format'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "retire" -d 'Mark a bundle as no longer to be used'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "gc" -d 'Remove retired bundles and unreferenced files'
complete -c pxectl -n "__fish_pxectl_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -s I -l interface -d 'Interface to capture on [default: the only interface of the inventory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -s r -l read -d 'Capture file to read; `-` for standard input' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -s w -l write -d 'Write the packets to a pcapng file, with comments; `-` for standard output' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l http-port -d 'HTTP port, in addition to 80, 443, 8080 and the site\'s; at most 60 in all' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l host -d 'Show only this host of the inventory, with all its interfaces' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l mac -d 'Show only the machine with this Ethernet address' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l xid -d 'Show only this DHCP transaction, in hexadecimal, and no other protocol' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l since -d 'Ignore packets before this time, such as 2026-05-01T12:00:00Z' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l until -d 'Ignore packets after this time' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l duration -d 'Time limit of the capture, such as 90s or 5m' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l count -d 'Number of packets after which the capture ends' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l server -d 'DHCP server that belongs here, as well as the inventory\'s; others are rogues' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l fail-on -d 'Exit with status 1 on one of these findings, see pxectl-capture(7)' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l force -d 'Replace the file of --write if it exists'
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l keep-secrets -d 'Keep boot tokens and capabilities in the file of --write; they are valid credentials'
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l promiscuous -d 'Capture frames for other machines, too'
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -l summary -d 'Print only a table with one row for each machine'
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand capture" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -s l -l selector -d 'Select the hosts that have a label' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l firmware -d 'The firmware to play: bios, bios-ipxe, uefi-x64, http-x64, …, or all that a host may have, one after the other [default: each host\'s `arch`]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l server -d 'A live server, in place of one for this rehearsal' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l dhcp-port -d 'DHCP port of the live server; on 67 it would answer the machine, not us' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l tftp-port -d 'TFTP port of the live server' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l http-port -d 'HTTP port of the live server [default: `server.http_port` of the site]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l all -d 'Select all hosts'
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -l commit -d 'Go on to the end against a live server: fetch kernel and seeds, and report `installed`'
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand rehearse" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand completions" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand completions" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand completions" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand completions" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand completions" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand completions" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand completions" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand completions" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand man" -l out -d 'Write all pages to a directory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand man" -s i -l inventory -d 'Directory of the inventory' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand man" -l state -d 'Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]' -r
complete -c pxectl -n "__fish_pxectl_using_subcommand man" -l bundles -d 'Directory of the bundle store [default: `bundles` of the site]' -r -F
complete -c pxectl -n "__fish_pxectl_using_subcommand man" -l format -d 'Format of results' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand man" -l log-format -d 'Format of log lines' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c pxectl -n "__fish_pxectl_using_subcommand man" -l color -d 'When to color' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c pxectl -n "__fish_pxectl_using_subcommand man" -s q -l quiet -d 'Print errors only'
complete -c pxectl -n "__fish_pxectl_using_subcommand man" -s v -l verbose -d 'Print more details'
complete -c pxectl -n "__fish_pxectl_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "init" -d 'Write a commented example inventory to start from'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "validate" -d 'Check an inventory, and report all errors at once'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "render" -d 'Show the boot script and the seeds that an armed host is served'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "serve" -d 'Answer the machines of the site, in the foreground'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "host" -d 'List hosts, arm them for an install, and set them aside'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "store" -d 'Create, back up, restore and copy the store of a site'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "bmc" -d 'Control machines through their BMCs: power, next boot, virtual media, console, log'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "bundle" -d 'Build, sign, copy and clean up bundles: versioned, pinned sets of files to install'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "capture" -d 'Explain how machines boot, from live packets or a capture file'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "rehearse" -d 'Play the firmware of hosts through their whole boot chain, without hardware'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "completions" -d 'Print the completion script for a shell'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "man" -d 'Print the manual page of a command, or write all pages'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and not __fish_seen_subcommand_from init validate render serve host store bmc bundle capture rehearse completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from serve" -f -a "dhcp" -d 'Give out addresses and boot files'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from serve" -f -a "tftp" -d 'Serve loaders, their configurations, and kernels to loaders that know no HTTP'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from serve" -f -a "http" -d 'Serve scripts, sessions and bundles'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from serve" -f -a "all" -d 'All three, in one process'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "list" -d 'List hosts with their phases'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "show" -d 'Show one host: its phase, its session and its latest events'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "provision" -d 'Arm hosts: the next time one boots from the network, before the deadline, it installs'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "cancel" -d 'Disarm hosts: their sessions end, and they no longer install'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "quarantine" -d 'Quarantine hosts: they boot nothing until they are released'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "retire" -d 'Take hosts out of service for good: they boot nothing'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "release" -d 'Release hosts that are quarantined or retired'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "create" -d 'Create an empty store, in which no host is armed'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "backup" -d 'Back up the store and the leases to one file, while servers run'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "restore" -d 'Create the store from a backup, with its open sessions suspended'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "copy" -d 'Copy the store to another directory, with open sessions suspended in the copy'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "accept-clock" -d 'Accept a clock that is behind the store\'s latest time, after closing all sessions'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bmc" -f -a "status" -d 'Show power, next boot, Secure Boot, health, identity and boot order of machines'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bmc" -f -a "power" -d 'Turn machines on or off, or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bmc" -f -a "boot-pxe" -d 'Boot machines from the network (PXE) once, and start or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bmc" -f -a "boot-http" -d 'Boot machines from the network (UEFI HTTP boot) once, and start or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bmc" -f -a "boot-disk" -d 'Boot machines from their disk once, and start or reset them'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bmc" -f -a "media" -d 'Insert an image into the virtual CD drive of machines, or eject it'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bmc" -f -a "console" -d 'Open the serial console of a machine'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bmc" -f -a "log" -d 'Show the event logs of BMCs'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bmc" -f -a "inventory" -d 'Show the hardware of machines, and the differences from the inventory'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bmc" -f -a "pin" -d 'Accept the certificates of BMCs after a replacement or a renewal'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "build" -d 'Build a bundle: verify its files, store them, and print the document that pins them'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "fetch" -d 'Fetch the files that the inventory\'s bundles pin and the store lacks'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "publish" -d 'Copy a bundle to a registry, a tar file or another directory'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "pull" -d 'Copy a bundle from a registry, a tar file or another directory, and print its document'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "list" -d 'List the bundles in the store with their size, age, expiry, signatures and users'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "outdated" -d 'List the inventory\'s bundles whose publisher has a newer release'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "verify" -d 'Hash all files of the bundles in the store, and check the signatures'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "sign" -d 'Sign a bundle of the store, and print its document with the signature'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "keygen" -d 'Create a key for signing bundles, in minisign\'s format'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "retire" -d 'Mark a bundle as no longer to be used'
complete -c pxectl -n "__fish_pxectl_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "gc" -d 'Remove retired bundles and unreferenced files'
