//! `sendmail`: what cron, mail(1), PHP and other programs call to send mail, as far as it
//! is about sending (sendmail(8) of Sendmail and Postfix).
//!
//! It gives the message to the relay by SMTP and says by its exit code what became of it
//! (`failure.rs`). It keeps nothing: if the relay is away, the caller still has the message.
//! Who receives mail for a user of this machine is said by /etc/aliases, and else by the
//! relay. What a message looks like in the end is left to the relay, except for Bcc and a
//! missing From (`header.rs`).

mod addresses;
mod aliases;
pub(super) mod arguments;
mod content;
mod dialog;
mod failure;
mod header;
mod identity;
mod place;
mod submission;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::CommandFactory;
use clap::ValueEnum;

use self::aliases::Aliases;
use self::content::Content;
use self::content::End;
use self::content::on_the_wire;
use self::failure::Failure;
use self::failure::Step;
use self::header::Ends;
use self::identity::Identity;
pub(super) use self::place::places;
use self::submission::Envelope;
use self::submission::Relay;
use self::submission::Sent;
use super::ConfigFile;
use super::Exit;
use super::running::queue;
use super::say;
use super::say_exactly;
use crate::mail::Address;
use crate::mail::ForwardPath;

/// What `--help` and the manual page say of them.
const EXIT_CODES: &str = "\
Options of Sendmail and Postfix that are not listed have no effect. Names without a domain are looked
up in /etc/aliases, then by the relay. Called as mailq or newaliases, the program does what these do.

Exit codes:
  0   the relay has the message
  64  the command line is wrong
  65  the relay refuses the message, or the message names no recipients
  67  the relay refuses a recipient; the others get the message
  75  the relay is away or refuses for now; nothing was sent, so send the message again later
  77  the relay does not allow it";

/// Sendmail's options that mean something here; `arguments.rs` leaves out the others.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, args_override_self = true, after_long_help = EXIT_CODES)]
pub(super) struct Options {
    /// Recipients: addresses, or names of users of this machine
    #[arg(value_name = "RECIPIENT")]
    to: Vec<String>,
    /// Send to the recipients in To, Cc and Bcc too; the Bcc field never goes out
    #[arg(short = 't')]
    read_recipients: bool,
    /// Do not end the message at a line with a single dot (also -oi)
    #[arg(short = 'i')]
    ignore_dots: bool,
    /// The envelope sender (also -r); "" or <> for none. Default: the calling user at this machine
    #[arg(short = 'f', value_name = "ADDRESS", allow_hyphen_values = true)]
    from: Option<String>,
    /// The sender's full name, for a message without a From field
    #[arg(short = 'F', value_name = "NAME", allow_hyphen_values = true)]
    name: Option<String>,
    /// What to do instead of reading a message
    #[arg(
        short = 'b',
        value_name = "MODE",
        default_value = "m",
        hide_default_value = true
    )]
    mode: Mode,
    /// Try to send now what waits in the relay's queue
    #[arg(short = 'q')]
    flush: bool,
    /// Which reports to request: never, or success, failure and delay, separated by commas
    #[arg(short = 'N', value_name = "WHEN", allow_hyphen_values = true)]
    notify: Option<Notify>,
    /// What of the message a report returns: full or hdrs
    #[arg(
        short = 'R',
        value_name = "PART",
        ignore_case = true,
        allow_hyphen_values = true
    )]
    ret: Option<Returned>,
    /// The envelope ID, which reports mention
    #[arg(short = 'V', value_name = "ID", allow_hyphen_values = true)]
    envelope_id: Option<String>,
    /// Print the relay's reply
    #[arg(short = 'v')]
    verbose: bool,
    /// The relay's address. Default: a listener of relay.toml if this user may read it, otherwise
    /// 127.0.0.1:2525
    #[arg(long, value_name = "HOST[:PORT]", env = "GRAPH_RELAY_ADDRESS")]
    relay: Option<String>,
    /// The file with the aliases of this machine (also -oA)
    #[arg(long, value_name = "FILE", default_value = "/etc/aliases")]
    aliases: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
    /// Print help
    #[arg(long)]
    help: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Read a message and send it (the default)
    M,
    /// Speak SMTP on standard input and output
    S,
    /// List the relay's queue, as mailq does
    P,
    /// Check the file with the aliases, as newaliases does: there is no database to build
    I,
}

#[derive(Clone, Debug)]
struct Notify(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Returned {
    /// The whole message
    Full,
    /// Its header section
    Hdrs,
}

impl std::str::FromStr for Notify {
    type Err = String;

    /// RFC 3461 4.1.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.to_ascii_uppercase();
        let mut when = text.split(',');
        let known = |it| ["SUCCESS", "FAILURE", "DELAY"].contains(&it);
        match text == "NEVER" || when.all(known) {
            true => Ok(Self(text)),
            false => Err("use never, or success, failure and delay".to_owned()),
        }
    }
}

pub(super) async fn run(options: Options) -> Exit {
    if options.help {
        return help();
    }
    if options.flush {
        let all = queue::Command::retry_all(options.file);
        return queue::run(&all).await;
    }
    let outcome = match options.mode {
        Mode::M => send(&options).await,
        Mode::S => speak(&options).await,
        Mode::P => return queue::run(&queue::Command::list(options.file)).await,
        Mode::I => check_aliases(&options),
    };
    outcome.map_or_else(Failure::tell, |()| Exit::Done)
}

fn help() -> Exit {
    let mut command = super::CommandLine::command();
    command.build();
    if let Some(sendmail) = command.find_subcommand_mut("sendmail") {
        say_exactly(sendmail.render_long_help().to_string().trim_end());
    }
    Exit::Done
}

async fn speak(options: &Options) -> Result<(), Failure> {
    dialog::pass_on(&relays(options).await?)
}

async fn relays(options: &Options) -> Result<Vec<SocketAddr>, Failure> {
    let found = places(options.relay.as_deref(), &options.file.config).await;
    found.map_err(|error| {
        let relay = options.relay.as_deref().unwrap_or_default();
        Failure::for_now(&format!("the relay {relay} was not found: {error}"))
    })
}

fn check_aliases(options: &Options) -> Result<(), Failure> {
    let problems = Aliases::of_file(&options.aliases).problems;
    if problems.is_empty() {
        return Ok(());
    }
    let file = options.aliases.display();
    let words = format!(
        "{file}: {}",
        problems.join(&format!("\nsendmail: {file}: "))
    );
    Err(Failure::new(Exit::Data, words))
}

async fn send(options: &Options) -> Result<(), Failure> {
    let me = Identity::of_this_process();
    if options.to.is_empty() && !options.read_recipients {
        let words = "name recipients, or use -t to send to those in To, Cc and Bcc";
        return Err(Failure::new(Exit::Usage, words));
    }
    let from = sender(options, &me)?;
    let end = match options.ignore_dots {
        true => End::Input,
        false => End::Dot,
    };
    let content = Content::read(std::io::stdin().lock(), end);
    let mut content = content.map_err(|error| match error {
        content::ReadError::Header => Failure::new(Exit::Data, error.to_string()),
        content::ReadError::Input(_) | content::ReadError::Kept { .. } => {
            Failure::for_now(&error.to_string())
        }
    })?;
    let author = match from.as_str() {
        "" => me.address(),
        from => from.to_owned(),
    };
    let author = header::author(options.name.as_deref(), &author);
    let recipients = Recipients::of(options, &me, &content)?;
    let header = content.header.outgoing(&author, &recipients.ends);
    let header = on_the_wire(&header);
    if recipients.to.is_empty() {
        return recipients.conclude(options, &Sent::default());
    }
    let envelope = Envelope {
        from,
        to: recipients.to.clone(),
        ret: options.ret.map(|it| match it {
            Returned::Full => "FULL".to_owned(),
            Returned::Hdrs => "HDRS".to_owned(),
        }),
        envelope_id: options.envelope_id.clone(),
        notify: options.notify.clone().map(|it| it.0),
    };
    let mut relay = Relay::open(&relays(options).await?, &me.host).await?;
    let sent = relay.send(&envelope, &header, &mut content).await;
    relay.quit().await;
    recipients.conclude(options, &sent?)
}

/// What became of a message that another command gave to the relay.
pub(super) enum Handed {
    /// The relay has it; these recipients do not get it, and why.
    Taken(Vec<String>),
    /// It does not have it, and refuses it.
    Refused(String),
    /// It does not have it, and may accept it later.
    Later(String),
    /// Nobody knows.
    Doubtful(String),
}

/// Gives a message to the relay: from its From, to those in To, Cc and Bcc, without Bcc.
pub(super) async fn hand_over(input: impl std::io::Read, relays: &[SocketAddr]) -> Handed {
    let mut content = match Content::read(input, End::Input) {
        Ok(content) => content,
        Err(error) => return Handed::Refused(error.to_string()),
    };
    let Some(from) = content.header.author() else {
        return Handed::Refused("there is no address in From".to_owned());
    };
    let mut refused = Vec::new();
    let mut to = content.header.recipients();
    to.retain(|recipient| match recipient.parse::<ForwardPath>() {
        Ok(_) => true,
        Err(error) => {
            refused.push(format!("{recipient:?} cannot receive mail: {error}"));
            false
        }
    });
    if to.is_empty() {
        return Handed::Refused("there are no recipients in To, Cc and Bcc".to_owned());
    }
    let header = on_the_wire(&content.header.outgoing(&from, &Ends::new()));
    let envelope = Envelope {
        from,
        to,
        ret: None,
        envelope_id: None,
        notify: None,
    };
    let host = Identity::of_this_process().host;
    let mut relay = match Relay::open(relays, &host).await {
        Ok(relay) => relay,
        Err(failure) => return Handed::Later(failure.words),
    };
    let sent = relay.send(&envelope, &header, &mut content).await;
    relay.quit().await;
    match sent {
        Ok(sent) => {
            let problems = sent.refused.iter();
            let problems = problems.map(|(to, reply)| format!("the relay refuses {to}: {reply}"));
            refused.extend(problems);
            match sent.replies.is_empty() {
                true => Handed::Refused(refused.join("; ")),
                false => Handed::Taken(refused),
            }
        }
        Err(failure) if failure.is_doubtful => Handed::Doubtful(failure.words),
        Err(failure) if failure.exit == Exit::TryLater => Handed::Later(failure.words),
        Err(failure) => Handed::Refused(failure.words),
    }
}

/// The envelope sender: empty for the null sender.
fn sender(options: &Options, me: &Identity) -> Result<String, Failure> {
    let Some(given) = &options.from else {
        return Ok(me.address());
    };
    let listed = addresses::listed(given);
    let Some(address) = listed.first() else {
        return Ok(String::new());
    };
    let address = match address.contains('@') {
        true => address.clone(),
        false => me.at_home(address),
    };
    match address.parse::<ForwardPath>() {
        Ok(_) => Ok(address),
        Err(error) => {
            let words = format!("{given:?} cannot be a sender: {error}");
            Err(Failure::new(Exit::Usage, words))
        }
    }
}

/// Who is to receive the message.
struct Recipients {
    /// For the relay: safe to put into a command.
    to: Vec<String>,
    /// Of the names that are aliases of this machine.
    ends: Ends,
    /// Those who get nothing, and why.
    problems: Vec<String>,
}

impl Recipients {
    fn of(options: &Options, me: &Identity, content: &Content) -> Result<Self, Failure> {
        let given = options.to.iter().flat_map(|it| addresses::listed(it));
        let mut named: Vec<String> = given.collect();
        if options.read_recipients {
            named.extend(content.header.recipients());
        }
        if named.is_empty() {
            let words = "the message has no recipients: To, Cc and Bcc are empty or missing";
            return Err(Failure::new(Exit::Data, words));
        }
        let aliases = Aliases::of_file(&options.aliases);
        let read = |path: &str| std::fs::read_to_string(path);
        let expand = |named: &[String]| aliases.expand(named, |domain| me.is_local(domain), read);
        let mut ends = Ends::new();
        for name in &named {
            let mut found = expand(std::slice::from_ref(name)).recipients;
            found.retain(|end| end.parse::<Address>().is_ok());
            if !found.is_empty() && !found.contains(name) {
                ends.insert(name.to_lowercase(), found);
            }
        }
        let expanded = expand(&named);
        let mut problems = expanded.problems;
        let mut to = expanded.recipients;
        to.retain(|recipient| match recipient.parse::<ForwardPath>() {
            Ok(_) => true,
            Err(error) => {
                problems.push(format!("{recipient:?} cannot receive mail: {error}"));
                false
            }
        });
        Ok(Self { to, ends, problems })
    }

    /// Says what came of it.
    fn conclude(mut self, options: &Options, sent: &Sent) -> Result<(), Failure> {
        let mut worst = (!self.problems.is_empty()).then_some(Exit::NoUser);
        for (recipient, reply) in &sent.refused {
            self.problems
                .push(format!("the relay refuses {recipient}: {reply}"));
            worst = worst.or_else(|| Some(failure::exit(Step::Recipient, reply)));
        }
        if options.verbose {
            for reply in &sent.replies {
                say(&reply.to_string());
            }
        }
        let Some(exit) = worst else {
            return Ok(());
        };
        let others = match sent.replies.is_empty() {
            true => "Nothing was sent",
            false => "The other recipients get the message",
        };
        let problems = self.problems.join("\nsendmail: ");
        Err(Failure::new(exit, format!("{problems}. {others}")))
    }
}
