//! lettre as a Rust service uses it, one of the clients of `tests/clients/run`.

use std::env;
use std::error::Error;
use std::fs;
use std::time::Duration;

use lettre::Address;
use lettre::Message;
use lettre::SmtpTransport;
use lettre::Transport;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::Certificate;
use lettre::transport::smtp::client::CertificateStore;
use lettre::transport::smtp::client::Tls;
use lettre::transport::smtp::client::TlsParameters;
use lettre::transport::smtp::extension::ClientId;

fn main() -> Result<(), Box<dyn Error>> {
    let host = env::var("HOST")?;
    let tls = match env::var("TLS")?.as_str() {
        "starttls" => Tls::Required(parameters(&host)?),
        "implicit" => Tls::Wrapper(parameters(&host)?),
        _ => Tls::None,
    };
    let mut client = SmtpTransport::builder_dangerous(&host)
        .port(env::var("PORT")?.parse()?)
        .hello_name(ClientId::Domain("client.example".to_owned()))
        .timeout(Some(Duration::from_secs(30)))
        .tls(tls);
    let mechanism = match env::var("AUTH")?.as_str() {
        "plain" => Some(Mechanism::Plain),
        "login" => Some(Mechanism::Login),
        _ => None,
    };
    if let Some(mechanism) = mechanism {
        client = client
            .credentials(Credentials::new(
                env::var("USERNAME")?,
                env::var("PASSWORD")?,
            ))
            .authentication(vec![mechanism]);
    }

    let reply = client.build().send(&message()?)?;
    println!("{reply:?}");
    Ok(())
}

fn parameters(host: &str) -> Result<TlsParameters, Box<dyn Error>> {
    let authority = Certificate::from_pem(&fs::read(env::var("CA_FILE")?)?)?;
    let parameters = TlsParameters::builder(host.to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(authority)
        .build()?;
    Ok(parameters)
}

fn message() -> Result<Message, Box<dyn Error>> {
    let mut message = Message::builder()
        .from(mailbox("FROM_NAME", &env::var("MAIL_FROM")?)?)
        .subject(env::var("SUBJECT")?)
        .header(ContentType::TEXT_PLAIN);
    for address in env::var("TO")?.split_whitespace() {
        message = message.to(mailbox("TO_NAME", address)?);
    }
    for address in env::var("CC")?.split_whitespace() {
        message = message.cc(address.parse()?);
    }
    for address in env::var("BCC")?.split_whitespace() {
        message = message.bcc(address.parse()?);
    }
    Ok(message.body(fs::read_to_string(env::var("TEXT")?)?)?)
}

/// An address with the display name of the task.
fn mailbox(name: &str, address: &str) -> Result<Mailbox, Box<dyn Error>> {
    Ok(Mailbox::new(
        Some(env::var(name)?),
        address.parse::<Address>()?,
    ))
}
