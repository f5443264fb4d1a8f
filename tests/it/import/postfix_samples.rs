//! `import postfix` on the kinds of main.cf and master.cf that stand on real machines: nothing is
//! passed over in silence, and nobody may send who could not before.

use std::fs;

use super::all_settings;
use super::parameters;
use super::postfix_ports::OF_PORTS;
use crate::common::binary;
use crate::common::said;

/// What an installation has, and what must and must not come of it.
pub(super) struct Installation {
    pub(super) name: &'static str,
    pub(super) main: &'static str,
    pub(super) master: &'static str,
    pub(super) has: &'static [&'static str],
    pub(super) has_not: &'static [&'static str],
    /// In the report.
    pub(super) told: &'static [&'static str],
}

/// One service, with nothing to expect of it.
pub(super) const USUAL: Installation = Installation {
    name: "",
    main: "",
    master: "smtp inet n - y - - smtpd\n",
    has: &[],
    has_not: &[],
    told: &[],
};

const INSTALLATIONS: [Installation; 31] = [
    Installation {
        name: "names that two maps have, and aliases that are no text",
        main: "recipient_canonical_maps = inline:{ {root = admin} }\nalias_maps = ldap:/etc/postfix/ldap.cf\n\
               virtual_alias_maps = inline:{ {root = b@contoso.com}, {admin = it@contoso.com} }\n",
        has: &["root = \"admin\"", "admin = \"it@contoso.com\""],
        has_not: &["b@contoso.com"],
        told: &["ldap:/etc/postfix/ldap.cf: write the aliases"],
        ..USUAL
    },
    Installation {
        name: "nobody sends without a password",
        main: "mynetworks =\n",
        has: &["networks = [\"127.0.0.0/8\", \"::1/128\"]"],
        told: &["Postfix lets nobody send without a password here"],
        ..USUAL
    },
    Installation {
        name: "a satellite of Debian",
        main: "smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)\nbiff = no\nappend_dot_mydomain = no\n\
               readme_directory = no\ncompatibility_level = 3.6\nsmtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem\n\
               smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key\nsmtpd_tls_security_level=may\n\
               smtp_tls_CApath=/etc/ssl/certs\nsmtp_tls_security_level=may\n\
               smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache\n\
               smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination\n\
               myhostname = web1.contoso.com\nmyorigin = /etc/mailname\nmydestination = $myhostname, localhost\n\
               relayhost = [smtp.office365.com]:587\nmynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\n\
               mailbox_size_limit = 0\nrecipient_delimiter = +\ninet_interfaces = loopback-only\ninet_protocols = all\n",
        has: &[
            "address = \"127.0.0.1:25\"",
            "address = \"[::1]:25\"",
            "hostname = \"web1.contoso.com\"",
        ],
        has_not: &["0.0.0.0", "tls ="],
        told: &["Graph replaces the relay host"],
        ..USUAL
    },
    Installation {
        name: "the networks of Debian on all interfaces",
        main: "mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\ninet_interfaces = all\ninet_protocols = all\n",
        has: &["address = \"127.0.0.1:25\"", "address = \"[::1]:25\""],
        has_not: &["0.0.0.0", "[::]"],
        told: &["[[listener]] on 127.0.0.1:25, [::1]:25"],
        ..USUAL
    },
    Installation {
        name: "printers in another network than this machine",
        main: "mynetworks = 127.0.0.0/8 [::1]/128 192.0.2.0/24\n",
        has: &["address = \"0.0.0.0:25\"", "address = \"[::1]:25\""],
        has_not: &["[::]", "\"127.0.0.1:25"],
        ..USUAL
    },
    Installation {
        name: "this machine and a printer, with IPv4 networks only",
        main: "mynetworks = 127.0.0.0/8\n",
        master: "smtp inet n - y - - smtpd\n2525 inet n - y - - smtpd -o mynetworks=192.0.2.1\n",
        has: &["address = \"127.0.0.1:25\"", "address = \"0.0.0.0:2525\""],
        has_not: &["[::"],
        ..USUAL
    },
    Installation {
        name: "networks of both protocols, of which only IPv4 is spoken",
        main: "mynetworks = 127.0.0.0/8 [::1]/128\ninet_protocols = ipv4\n",
        has: &["address = \"127.0.0.1:25\""],
        has_not: &["[::"],
        ..USUAL
    },
    Installation {
        name: "mynetworks may send only with a password",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_relay_restrictions =\n  permit_sasl_authenticated,\n  reject_unauth_destination\n",
        has: &["networks = [\"127.0.0.0/8\", \"::1/128\"]"],
        has_not: &["192.0.2.0/24"],
        told: &["lets nobody send from here"],
        ..USUAL
    },
    Installation {
        name: "restrictions in capitals that ask mynetworks for a password",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_relay_restrictions = Permit_SASL_Authenticated, REJECT\n",
        has: &["networks = [\"127.0.0.0/8\", \"::1/128\"]"],
        has_not: &["192.0.2.0/24"],
        told: &["lets nobody send from here"],
        ..USUAL
    },
    Installation {
        name: "a class that asks mynetworks for a password, and a class for tables",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_restriction_classes = only_sasl, for_tables\n\
               only_sasl = permit_sasl_authenticated, reject_sender_login_mismatch, reject\nfor_tables = reject\n\
               smtpd_recipient_restrictions = only_sasl\n",
        has: &["networks = [\"127.0.0.0/8\", \"::1/128\"]"],
        has_not: &["192.0.2.0/24"],
        told: &[
            "lets nobody send from here",
            "does not check reject_sender_login_mismatch. Only machines",
            "it is read as part of the restrictions that name it",
        ],
        ..USUAL
    },
    Installation {
        name: "this machine may send only with a password",
        main: "mynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject\n",
        has: &["address = \"127.0.0.1:25\""],
        told: &["lets nobody send from here"],
        ..USUAL
    },
    Installation {
        name: "a level of TLS that is for servers",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_tls_chain_files = /etc/a.pem\nsmtpd_tls_security_level = Verify\n",
        master: "smtp inet n - y - - smtpd -o smtpd_tls_wrappermode=no\n",
        has: &["tls = \"starttls-required\""],
        has_not: &["implicit"],
        told: &[
            "-o smtpd_tls_wrappermode=no of smtp inet smtpd (master.cf) tls of [[listener]]",
            "smtpd_tls_security_level = Verify tls of [[listener]]",
        ],
    },
    Installation {
        name: "two postscreens, the first on an unknown port",
        main: "mynetworks = 192.0.2.0/24\n",
        master: "odd inet n - y - 1 postscreen\nsmtp inet n - y - 1 postscreen\n\
                 smtpd pass - - y - - smtpd -o smtpd_sasl_auth_enable=yes\n",
        has: &["authentication = \"required\""],
        told: &["-o smtpd_sasl_auth_enable=yes of smtpd pass smtpd (master.cf) authentication of"],
        ..USUAL
    },
    Installation {
        name: "users from the local network only",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_tls_cert_file = /etc/a.pem\n",
        master: "submission inet n - y - - smtpd\n -o smtpd_sasl_auth_enable=yes\n -o smtpd_tls_security_level=encrypt\n \
                 -o smtpd_client_restrictions=permit_mynetworks,reject\n",
        has: &[
            "networks = [\"192.0.2.0/24\"]",
            "authentication = \"required\"",
        ],
        has_not: &["0.0.0.0/0"],
        told: &["refuse users from machines that are not in mynetworks"],
    },
    Installation {
        name: "a submission service that trusts no network",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_tls_chain_files = /etc/a.pem\nmua = permit_sasl_authenticated,reject\n",
        master: "submission inet n - y - - smtpd\n -o smtpd_sasl_auth_enable=yes -o smtpd_tls_security_level=encrypt\n \
                 -o smtpd_client_restrictions=permit_mynetworks,permit_sasl_authenticated,reject\n \
                 -o smtpd_relay_restrictions=$mua -o{ smtpd_sender_restrictions = reject_sender_login_mismatch }\n",
        has: &["networks = [\"0.0.0.0/0\", \"::/0\"]"],
        has_not: &["anonymous_networks"],
        told: &["reject_sender_login_mismatch"],
    },
    Installation {
        name: "the options of master.cf as Postfix documents them",
        main: "mynetworks = 192.0.2.0/24\nmua_client_restrictions = permit_sasl_authenticated,reject\n\
               mua_sender_restrictions = permit\n",
        master: "smtp inet n - y - - smtpd\n -o myhostname=mx.contoso.com\n\
                 submission inet n - y - - smtpd\n -o syslog_name=postfix/submission\n -o smtpd_tls_security_level=encrypt\n \
                 -o smtpd_sasl_auth_enable=yes\n -o smtpd_tls_auth_only=yes\n -o smtpd_reject_unlisted_recipient=no\n \
                 -o smtpd_client_restrictions=$mua_client_restrictions -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n \
                 -o smtpd_sender_restrictions=$mua_sender_restrictions -o smtpd_tls_cert_file=/etc/mua.pem\n \
                 -o smtpd_sender_login_maps=$login_maps -o { login_maps = hash:/etc/postfix/login }\n\
                 smtps inet n - y - - smtpd\n -o smtpd_tls_wrappermode=yes -o smtpd_tls_cert_file=/etc/other.pem\n \
                 -o smtpd_tls_req_ccert=yes -o smtpd_upstream_proxy_protocol=haproxy\n\
                 127.0.0.1:10025 inet n - y - - smtpd -o smtpd_tls_security_level=may -o mynetworks=127.0.0.0/8\n\
                 odd inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes\n\
                 out unix - - y - - smtp -o smtp_sasl_password_maps=static:u:canary -o smtp_generic_maps=hash:/g\n",
        has: &[
            "address = \"[::]:587\"\ntls = \"starttls-required\"\nauthentication = \"required\"\nnetworks = [\"0.0.0.0/0\", \"::/0\"]",
            "address = \"0.0.0.0:465\"\ntls = \"implicit\"\nnetworks = [\"192.0.2.0/24\"]",
            "address = \"127.0.0.1:10025\"\nnetworks = [\"127.0.0.0/8\"]",
            "certificate_file = \"/etc/mua.pem\"",
        ],
        has_not: &["anonymous_networks", "other.pem", "tls = \"starttls\""],
        told: &[
            "-o syslog_name=postfix/submission of submission inet smtpd (master.cf) [log] says",
            "-o smtpd_tls_security_level=encrypt of submission inet smtpd (master.cf) tls of [[listener]]",
            "-o smtpd_sasl_auth_enable=yes of submission inet smtpd (master.cf) authentication of [[listener]]",
            "-o smtpd_tls_wrappermode=yes of smtps inet smtpd (master.cf) tls of [[listener]]",
            "-o smtpd_tls_security_level=may of 127.0.0.1:10025 inet smtpd (master.cf) TLS is not used",
            "-o myhostname=mx.contoso.com of smtp inet smtpd (master.cf) hostname holds for all",
            "-o smtpd_tls_cert_file=/etc/mua.pem of submission inet smtpd (master.cf) [tls].",
            "-o smtpd_tls_cert_file=/etc/other.pem of smtps inet smtpd (master.cf) [tls] has one certificate",
            "-o smtpd_tls_req_ccert=yes of smtps inet smtpd (master.cf) the relay asks clients for no",
            "-o smtpd_upstream_proxy_protocol=haproxy of smtps inet smtpd (master.cf) name the load balancers",
            "-o login_maps=hash:/etc/postfix/login of submission inet smtpd (master.cf) it is only part",
            "-o smtpd_sasl_auth_enable=yes of odd inet smtpd (master.cf) a [[listener]] that you add",
            "-o smtp_sasl_password_maps=(not shown) of out",
            "-o smtp_generic_maps=hash:/g of out unix smtp (master.cf) [[sender]] and [aliases] hold",
            "mua_client_restrictions = permit_sasl_authenticated,reject it is only part of other parameters",
        ],
    },
    Installation {
        name: "postscreen in front of a server with options",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_tls_chain_files = /etc/a.pem\n",
        master: "smtp inet n - y - 1 postscreen -o smtpd_sasl_auth_enable=no -o postscreen_dnsbl_sites=a.example\n\
                 smtpd pass - - y - - smtpd\n -o smtpd_sasl_auth_enable=yes -o smtpd_tls_security_level=encrypt\n \
                 -o smtpd_relay_restrictions=permit_sasl_authenticated,reject -o content_filter=scan:1\n",
        has: &[
            "address = \"[::]:25\"",
            "tls = \"starttls-required\"",
            "authentication = \"required\"",
            "networks = [\"0.0.0.0/0\", \"::/0\"]",
        ],
        has_not: &["anonymous_networks"],
        told: &[
            "-o smtpd_relay_restrictions=permit_sasl_authenticated,reject of smtpd pass smtpd",
            "-o content_filter=scan:1 of smtpd pass smtpd",
            "-o smtpd_sasl_auth_enable=no of smtp inet postscreen (master.cf) postscreen does not use it",
            "its tests of unknown clients",
            "add a [[user]] for each name",
        ],
    },
    Installation {
        name: "programs with their paths",
        main: "mynetworks = 192.0.2.1\n",
        master: "smtp inet n - y - 1 ../sbin/postscreen\n\
                 smtpd pass - - y - - ./smtpd -o smtpd_recipient_restrictions=permit\n\
                 2525 inet n - y - - ../sbin/smtpd -o mynetworks=192.0.2.2\n\
                 2626 inet n - y - - /usr/lib/postfix/sbin/smtpd -o mynetworks=192.0.2.3\n\
                 qmgr unix n - n 300 1 ./qmgr\n",
        has: &[
            "address = \"0.0.0.0:25\"\nnetworks = [\"192.0.2.1/32\"]",
            "address = \"0.0.0.0:2525\"\nnetworks = [\"192.0.2.2/32\"]",
        ],
        has_not: &["2626"],
        told: &[
            "2525 inet ../sbin/smtpd (master.cf) [[listener]] on 0.0.0.0:2525",
            "2626 inet /usr/lib/postfix/sbin/smtpd (master.cf) Postfix looks for it below daemon_directory",
            "smtp inet ../sbin/postscreen (master.cf) its tests of unknown clients",
        ],
    },
    Installation {
        name: "the whole internet, and tables",
        main: "mynetworks = 0.0.0.0/0 hash:/etc/postfix/net !192.0.2.9 192.0.2.8/30 10.1.2.3/8\n\
               smtpd_client_restrictions = check_client_access hash:/etc/postfix/access, permit\n",
        has: &["\"192.0.2.8/32\"", "\"192.0.2.10/31\""],
        has_not: &["0.0.0.0/0", "10."],
        told: &[
            "0.0.0.0/0 lets the whole internet",
            "hash:/etc/postfix/net",
            "10.1.2.3/8 has bits",
            "take the",
        ],
        ..USUAL
    },
    Installation {
        name: "tables without the name of their check",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_client_restrictions = hash:/etc/postfix/access\n\
               smtpd_recipient_restrictions = permit_mynetworks, hash:/etc/postfix/recipients, reject\n",
        has: &["networks = [\"192.0.2.0/24\"]"],
        told: &[
            "does not check check_client_access. Only machines",
            "does not check check_recipient_access. Only machines",
            "If this refuses machines",
        ],
        ..USUAL
    },
    Installation {
        name: "addresses that are rewritten everywhere, and on their way out",
        main: "mynetworks = 192.0.2.0/24\n\
               canonical_maps = inline:{ {printer@old.example = printer@contoso.com} }\n\
               smtp_generic_maps = inline:{ {printer@old.example = other@contoso.com}, {@host.example = noreply@contoso.com} }\n",
        has: &[
            "[aliases]\n\"printer@old.example\" = \"printer@contoso.com\"\n",
            "[[sender]]\nmatch = \"printer@old.example\"\nfrom = \"printer@contoso.com\"\n\n\
             [[sender]]\nmatch = \"@host.example\"\nfrom = \"noreply@contoso.com\"\n",
        ],
        has_not: &["other@contoso.com", "\"@host.example\" ="],
        told: &[
            "{printer@old.example = printer@contoso.com} } [[sender]] and [aliases]",
            "Recipients are not rewritten on their way out",
        ],
        ..USUAL
    },
    Installation {
        name: "an alias for everybody",
        main: "virtual_alias_maps = inline:{ {* = it@contoso.com}, {root = it@contoso.com} }\n",
        has: &["[aliases]\nroot = \"it@contoso.com\"\n"],
        has_not: &["*"],
        told: &["lead to no address that Exchange delivers to: * (it@contoso.com)"],
        ..USUAL
    },
    Installation {
        name: "a machine that keeps no mail and completes names with its own domain",
        main: "myhostname = relay.contoso.com\nmydestination =\n\
               virtual_alias_maps = inline:{ {root = anna} }\n",
        has: &[
            "default_recipient_domain = \"relay.contoso.com\"",
            "root = \"anna\"",
        ],
        ..USUAL
    },
    Installation {
        name: "a transport with options, and a pipe",
        main: "transport_maps = hash:/etc/postfix/transport\ndefault_transport = slow\nheader_checks = pcre:/etc/postfix/h\n",
        master: "smtp inet n - y - - smtpd\nslow unix - - n - 1 smtp -o smtp_bind_address=192.0.2.1 -o syslog_name=x\n\
                 filter unix - n n - - pipe flags=R user=f argv=/opt/filter\n",
        told: &[
            "-o smtp_bind_address=192.0.2.1",
            "filter unix pipe",
            "all mail goes to Exchange",
        ],
        ..USUAL
    },
    Installation {
        name: "users whom the restrictions let send from nowhere",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_tls_chain_files = /etc/a.pem\nsmtpd_tls_security_level = encrypt\n\
               smtpd_sasl_auth_enable = yes\nsmtpd_restriction_classes = endless\nendless = endless, permit\n",
        master: "smtp inet n - y - - smtpd -o smtpd_relay_restrictions=reject\n\
                 587 inet n - y - - smtpd -o smtpd_recipient_restrictions=endless\n",
        has: &[
            "address = \"127.0.0.1:25\"",
            "address = \"127.0.0.1:587\"",
            "networks = [\"127.0.0.0/8\", \"::1/128\"]",
        ],
        has_not: &["192.0.2.0/24", "0.0.0.0"],
        told: &["with a password or without: only this machine can connect"],
    },
    Installation {
        name: "passwords over TLS only, without TLS or without a certificate",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = yes\n",
        master: "smtp inet n - y - - smtpd\n465 inet n - y - - smtpd -o smtpd_tls_wrappermode=yes\n",
        has: &[
            "address = \"0.0.0.0:25\"\ntls = \"starttls\"\nauthentication = \"required\"\n\
             anonymous_networks = [\"192.0.2.0/24\"]\nnetworks = [\"192.0.2.0/24\"]",
            "tls = \"implicit\"",
        ],
        has_not: &["[tls]", "tls = \"off\""],
        told: &[
            "smtp inet smtpd (master.cf) smtpd_tls_auth_only lets nobody authenticate without TLS",
            "smtpd_sasl_auth_enable on port 25 Postfix offers no authentication here",
        ],
    },
    Installation {
        name: "options that Postfix does not understand",
        main: "mynetworks = 192.0.2.0/24\nsmtpd_tls_chain_files = /etc/a.pem\n",
        master: "smtp inet n - y - - smtpd -o smtpd_client_restrictions = canary\n\
                 submission inet n - y - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes\n\
                 -o smtpd_relay_restrictions=canary\n2525 inet n - y - smtpd\n",
        has: &["address = \"127.0.0.1:25\"", "address = \"127.0.0.1:587\""],
        has_not: &["192.0.2.0/24", "0.0.0.0"],
        told: &[
            "-o smtpd_client_restrictions of smtp inet smtpd (master.cf) Postfix does not understand",
            "line 3 of master.cf this line has too few",
            "line 4 of master.cf this line has too few",
        ],
    },
    Installation {
        name: "networks of both protocols, of which one is not spoken",
        main: "mynetworks = 127.0.0.0/8 [::1]/128 10.0.0.0/8 [2001:db8::]/32\ninet_protocols = ipv6\n",
        master: "smtp inet n - y - - smtpd\n2525 inet n - y - - smtpd -o mynetworks=10.0.0.0/8\n",
        has: &[
            "address = \"[::]:25\"\nnetworks = [\"::1/128\", \"2001:db8::/32\"]",
            "address = \"[::1]:2525\"\nnetworks = [\"::1/128\"]",
        ],
        has_not: &["10.0.0.0", "127.0.0"],
        ..USUAL
    },
    Installation {
        name: "an address of the other family, and several instances",
        main: "inet_interfaces = 192.0.2.1\ninet_protocols = ipv6\nmulti_instance_directories = /etc/postfix-out\nthis is odd\n",
        has_not: &["[[listener]]"],
        told: &[
            "listens on no address",
            "graph-relay import postfix with the folder of each",
            "line 4 of main.cf",
        ],
        ..USUAL
    },
    Installation {
        name: "secrets in main.cf",
        main: "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = inline:{ {[mx.example.com]:587 = u:canary:/1} }, static:u:canary\n\
               ldap_bind_pw = canary:/def\nmysql_secret = canary\nlogin = static:u:canary\nlmtp_sasl_password_maps = $login\n\
               key = canary\nsmtpd_client_restrictions = permit_mynetworks, reject_rbl_client $key.zen.example\n\
               pol_secret = canary\nsmtpd_data_restrictions = check_policy_service inet:$pol_secret.host:1\n\
               mailbox_command = /bin/deliver --key canary\n[mx.example.com]:587 u:canary = x\n",
        master: "smtp inet n - y - - smtpd -o own=static:u:canary -o smtp_sasl_password_maps=$own\n \
                 -o smtpd_helo_restrictions=reject_rhsbl_helo,canary.example\n",
        has_not: &["canary"],
        told: &[
            "ldap_bind_pw = (not shown)",
            "login = (not shown)",
            "line 12 of main.cf",
            "-o own=(not shown) of smtp inet smtpd",
            "reject_rbl_client (not shown) the relay does not check reject_rbl_client.",
            "-o smtpd_helo_restrictions=reject_rhsbl_helo,(not shown) of smtp",
        ],
        ..USUAL
    },
    Installation {
        name: "another server behind a content filter",
        main: "content_filter = smtp-amavis:[127.0.0.1]:10024\nmessage_size_limit = 0\nmynetworks_style = subnet\n",
        master: "smtp inet n - y - - smtpd\n127.0.0.1:10025 inet n - n - - smtpd\n -o content_filter=\n -o mynetworks=127.0.0.0/8\n",
        has: &["address = \"127.0.0.1:10025\""],
        has_not: &["0.0.0.0"],
        told: &[
            "mynetworks_style = subnet it lets all machines",
            "use mail flow rules",
        ],
    },
];

/// The names of all parameters that the services of a master.cf set that accept mail.
fn options(master: &str) -> Vec<&str> {
    let mut accepts = false;
    let mut names = Vec::new();
    for line in master.lines().filter(|line| !line.starts_with('#')) {
        if !line.starts_with(' ') {
            accepts = line.contains(" inet ") || line.contains(" pass ");
        }
        let options = line.split("-o").skip(1).filter(|_| accepts);
        let options = options.filter_map(|option| option.split_once('='));
        names.extend(options.map(|(name, _)| name.trim_matches([' ', '{'])));
    }
    names
}

#[test]
fn nothing_is_passed_over_and_nobody_gets_rights_that_they_did_not_have() {
    for it in INSTALLATIONS.into_iter().chain(OF_PORTS) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.cf"), it.main).unwrap();
        fs::write(folder.path().join("master.cf"), it.master).unwrap();
        let new = folder.path().join("new.toml");

        let mut command = binary();
        command.args(["import", "postfix"]).arg(folder.path());
        let output = command.arg("--write").arg(&new).output().unwrap();

        let (name, text) = (it.name, fs::read_to_string(&new).unwrap());
        let report = said(&output);
        let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in it.has {
            assert!(text.contains(words), "{name}: {words}: {text}");
        }
        for words in it.has_not {
            assert!(!text.contains(words), "{name}: {words}: {text}");
        }
        for words in it.told {
            assert!(report.contains(words), "{name}: {words}: {report}");
        }
        assert!(!report.contains("canary"), "{name}: {report}");
        let rows = all_settings(&output);
        for parameter in parameters(it.main) {
            let is_it = |row: &String| row.split([' ', '=']).next() == Some(parameter);
            assert!(rows.iter().any(is_it), "{name}: {parameter}: {rows:#?}");
        }
        for option in options(it.master) {
            let (set, broken) = (format!("-o {option}="), format!("-o {option} of "));
            let is_it = |row: &String| row.starts_with(&set) || row.starts_with(&broken);
            assert!(rows.iter().any(is_it), "{name}: {option}: {rows:#?}");
        }
    }
}
