//! `[tls]`: the certificate of the listeners.

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
    let files = certificate
        .zip(key)
        .map(|(certificate, key)| CertificateFiles {
            certificate_file: certificate.value,
            private_key_file: key.value,
        });
    if let Some(files) = &files
        && section.can_test(
            &section.span(),
            &[&files.certificate_file, &files.private_key_file],
        )
        && let Err(error) = files.load()
    {
        section.problem_of_file(
            &section.span(),
            ProblemKind::of_file(error.is_unreadable()),
            error.to_string(),
        );
    }
    section.finish();
    files
}
