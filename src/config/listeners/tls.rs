//! `[tls]`: the certificate of the listeners.

use std::path::Path;
use std::path::PathBuf;

use crate::config::ProblemKind;
use crate::config::reader::Section;
use crate::credentials::CertificateFiles;

/// The keys of `[tls]`.
pub(in crate::config) fn read_section(top: &mut Section<'_>) -> Option<CertificateFiles> {
    let mut section = top.table("tls");
    if !section.is_written() {
        return None;
    }
    let certificate = section.required::<PathBuf>("certificate_file");
    let key = section.required::<PathBuf>("private_key_file");
    let files = certificate.zip(key).map(|(certificate, key)| {
        let files = CertificateFiles {
            certificate_file: certificate.value,
            private_key_file: key.value,
        };
        let both: [&Path; 2] = [&files.certificate_file, &files.private_key_file];
        if section.can_test(&certificate.span, &both) {
            for (path, error) in files.test().1 {
                let span = match path == files.certificate_file {
                    true => &certificate.span,
                    false => &key.span,
                };
                let kind = ProblemKind::of_file(error.is_unreadable());
                section.problem_of_file(span, kind, error.to_string());
            }
        }
        files
    });
    section.finish();
    files
}
