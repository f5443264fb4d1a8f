//! Installations of Postfix that differ in which ports it opens, at which addresses and for whom, for
//! the test beside this file.

use super::postfix_samples::Installation;
use super::postfix_samples::USUAL;

pub(super) const OF_PORTS: [Installation; 12] = [
    Installation {
        name: "an option about the ports",
        main: "inet_interfaces = loopback-only\nmynetworks = 127.0.0.0/8 10.0.0.0/8\n",
        master: "smtp inet n - y - - smtpd -o inet_interfaces=all\n",
        has: &["address = \"127.0.0.1:25\""],
        has_not: &["0.0.0.0:25"],
        told: &["Postfix opens the ports by what main.cf says"],
    },
    Installation {
        name: "all addresses of IPv6",
        main: "inet_interfaces = ::\nmynetworks = 10.0.0.0/8 [2001:db8::]/32\n",
        master: "smtp inet n - y - - smtpd\n[::]:28 inet n - y - - smtpd -o mynetworks=10.0.0.0/8\n",
        has: &[
            "address = \"[::]:25\"\nnetworks = [\"2001:db8::/32\"]",
            "address = \"[::]:28\"\nnetworks = [\"::1/128\"]",
        ],
        has_not: &["10.0.0.0/8\""],
        told: &[
            "[::]:28 inet smtpd (master.cf) only clients with IPv6 reach it, and mynetworks has none",
        ],
    },
    Installation {
        name: "all addresses of both protocols",
        main: "inet_interfaces = 0.0.0.0, ::\nmynetworks = 10.0.0.0/8 [2001:db8::]/32\n",
        has: &["address = \"[::]:25\"\nnetworks = [\"10.0.0.0/8\", \"2001:db8::/32\"]"],
        has_not: &["0.0.0.0:25"],
        ..USUAL
    },
    Installation {
        name: "a port of the system that is not one of mail",
        main: "mynetworks = 192.0.2.0/24\n",
        master: "2525 inet n - y - - smtpd\n26 inet n - y - - smtpd\n",
        has: &["\"0.0.0.0:2525\"", "\"0.0.0.0:26\""],
        told: &["26 inet smtpd (master.cf) this port needs extra rights"],
        ..USUAL
    },
    Installation {
        name: "services that are disabled",
        main: "mynetworks = 192.0.2.0/24\nmaster_service_disable = !587/inet, 26.inet, 587/inet, 27/unix\n",
        master: "smtp inet n - y - - smtpd\n26 inet n - y - - smtpd\n27 inet n - y - - smtpd\n587 inet n - y - - smtpd\n",
        has: &["\"0.0.0.0:25\"", "\"0.0.0.0:27\"", "\"0.0.0.0:587\""],
        has_not: &["0.0.0.0:26"],
        told: &["26 inet smtpd (master.cf) Postfix does not start it: master_service_disable"],
    },
    Installation {
        name: "all services of the network are disabled",
        main: "mynetworks = 192.0.2.0/24\nmaster_service_disable = inet\n",
        has_not: &["[[listener]]"],
        told: &["master_service_disable = inet these services become no"],
        ..USUAL
    },
    Installation {
        name: "networks of which nothing is left",
        main: "mynetworks = 10.0.0.0/8, !10.0.0.0/8\nsmtpd_tls_chain_files = /etc/a.pem\n",
        master: "587 inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_security_level=encrypt\n",
        has: &[
            "address = \"[::]:587\"\ntls = \"starttls-required\"\nauthentication = \"required\"\nnetworks = [\"0.0.0.0/0\", \"::/0\"]",
        ],
        has_not: &["anonymous_networks"],
        told: &[
            "mynetworks = 10.0.0.0/8, !10.0.0.0/8 [[listener]] has no anonymous_networks: every machine needs a password",
        ],
    },
    Installation {
        name: "the machine itself, at one of its addresses",
        main: "inet_interfaces = 192.0.2.10\nmynetworks_style = host\n",
        has: &["networks = [\"127.0.0.0/8\", \"192.0.2.10/32\", \"::1/128\"]"],
        ..USUAL
    },
    Installation {
        name: "the networks of an old Postfix",
        main: "inet_interfaces = all\n",
        has: &["\"127.0.0.1:25\""],
        has_not: &["0.0.0.0"],
        told: &["mynetworks_style (not set) Postfix's old default lets all machines"],
        ..USUAL
    },
    Installation {
        name: "a postscreen whose server is disabled",
        main: "mynetworks = 192.0.2.0/24\nmaster_service_disable = pass\n",
        master: "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n",
        has: &["address = \"127.0.0.1:25\"\nnetworks = [\"127.0.0.0/8\", \"::1/128\"]"],
        has_not: &["192.0.2.0/24"],
        told: &[
            "smtpd pass smtpd (master.cf) Postfix does not start it",
            "mynetworks on port 25 Postfix lets nobody send from here",
        ],
    },
    Installation {
        name: "a postscreen whose server has an absolute path, and one without a server",
        main: "mynetworks = 192.0.2.0/24\n",
        master: "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - /usr/lib/postfix/sbin/smtpd\n\
                 26 inet n - y - 1 postscreen -o smtpd_service_name=other\n",
        has: &["address = \"127.0.0.1:25\"", "address = \"127.0.0.1:26\""],
        has_not: &["192.0.2.0/24"],
        told: &["Postfix looks for it below daemon_directory"],
    },
    Installation {
        name: "a postscreen that refuses machines",
        main: "mynetworks = 192.0.2.0/24\npostscreen_access_list = cidr:/etc/postfix/deny.cidr, permit_mynetworks\npostscreen_denylist_action = drop\npostscreen_blacklist_action = ignore\n",
        master: "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n",
        has: &["address = \"0.0.0.0:25\"\nnetworks = [\"192.0.2.0/24\"]"],
        told: &["postscreen_denylist_action = drop if postscreen_access_list refuses"],
        ..USUAL
    },
];
