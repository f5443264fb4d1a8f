// Go's own net/smtp as a service uses it. It composes nothing: the message is
// written here.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"os"
	"strings"
)

func main() {
	if err := send(); err != nil {
		log.Fatal(err)
	}
}

func send() error {
	host, address := os.Getenv("HOST"), net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT"))
	client, err := connect(host, address)
	if err != nil {
		return err
	}
	defer client.Close()
	if os.Getenv("AUTH") == "plain" {
		auth := smtp.PlainAuth("", os.Getenv("USERNAME"), os.Getenv("PASSWORD"), host)
		if err := client.Auth(auth); err != nil {
			return err
		}
	}
	message, err := compose()
	if err != nil {
		return err
	}
	if err := client.Mail(os.Getenv("MAIL_FROM")); err != nil {
		return err
	}
	for _, variable := range []string{"TO", "CC", "BCC"} {
		for _, recipient := range strings.Fields(os.Getenv(variable)) {
			if err := client.Rcpt(recipient); err != nil {
				return err
			}
		}
	}
	data, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := data.Write(message); err != nil {
		return err
	}
	if err := data.Close(); err != nil {
		return err
	}
	return client.Quit()
}

// connect says EHLO, behind TLS where the task has it.
func connect(host, address string) (*smtp.Client, error) {
	if os.Getenv("TLS") == "off" {
		client, err := smtp.Dial(address)
		if err != nil {
			return nil, err
		}
		return client, client.Hello("client.example")
	}
	authority, err := os.ReadFile(os.Getenv("CA_FILE"))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{ServerName: host, RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(authority)
	if os.Getenv("TLS") == "implicit" {
		connection, err := tls.Dial("tcp", address, config)
		if err != nil {
			return nil, err
		}
		client, err := smtp.NewClient(connection, host)
		if err != nil {
			return nil, err
		}
		return client, client.Hello("client.example")
	}
	client, err := smtp.Dial(address)
	if err != nil {
		return nil, err
	}
	if err := client.Hello("client.example"); err != nil {
		return nil, err
	}
	return client, client.StartTLS(config)
}

func compose() ([]byte, error) {
	text, err := os.ReadFile(os.Getenv("TEXT"))
	if err != nil {
		return nil, err
	}
	from := mail.Address{Name: os.Getenv("FROM_NAME"), Address: os.Getenv("MAIL_FROM")}
	to := mail.Address{Name: os.Getenv("TO_NAME"), Address: os.Getenv("TO")}
	var message bytes.Buffer
	fmt.Fprintf(&message, "From: %s\r\nTo: %s\r\n", from.String(), to.String())
	fmt.Fprintf(&message, "Cc: %s\r\n", strings.Join(strings.Fields(os.Getenv("CC")), ", "))
	fmt.Fprintf(&message, "Subject: %s\r\n", mime.BEncoding.Encode("utf-8", os.Getenv("SUBJECT")))
	message.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: 8bit\r\n\r\n")
	message.Write(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
	return message.Bytes(), nil
}
