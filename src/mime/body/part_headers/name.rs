//! The name of a part as a file: its own, without what no name has, or one that
//! says what kind of file it is, so that a click opens it.

use super::PartHeaders;

/// The most characters of a name. The end of a longer one is kept, because it shows the
/// kind of file.
const LONGEST_NAME: usize = 255;

/// The last component of a path (RFC 2183 2.3), without control characters; `None` if
/// nothing is left.
pub(super) fn file_name(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let mut components = name.rsplit(['/', '\\']).map(str::trim);
    let name = components.find(|it| !matches!(*it, "" | "." | ".."))?;
    let surplus = name.chars().count().saturating_sub(LONGEST_NAME);
    Some(name.chars().skip(surplus).collect())
}

/// The file name of a part. `number` counts parts without a name that would otherwise get
/// the same one.
pub(in crate::mime) fn name_or_default(part_headers: &PartHeaders, number: usize) -> String {
    match &part_headers.name {
        // With any other extension no program opens it as a message.
        Some(name) if part_headers.is_message() && !is_mail(name) => format!("{name}.eml"),
        Some(name) => name.clone(),
        None => {
            let (stem, extension) = default_name(&part_headers.content_type);
            match number {
                0 | 1 => format!("{stem}.{extension}"),
                number => format!("{stem}-{number}.{extension}"),
            }
        }
    }
}

fn is_mail(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|it| it.eq_ignore_ascii_case("eml"))
}

/// The name and the extension for a nameless part of this type.
pub(in crate::mime) fn default_name(content_type: &str) -> (&'static str, &'static str) {
    let known = TYPES.iter().find(|(of, _)| *of == content_type);
    let extension = known.map_or_else(|| extension_by_kind(content_type), |(_, it)| it);
    let stem = match content_type {
        "application/ms-tnef" | "application/vnd.ms-tnef" => "winmail",
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => "smime",
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => "smime",
        "application/pgp-signature" => "signature",
        "text/calendar" | "application/ics" => "invitation",
        "text/vcard" | "text/x-vcard" | "text/directory" => "contact",
        _ if content_type.starts_with("image/") => "image",
        _ if extension == "eml" => "message",
        _ => "attachment",
    };
    (stem, extension)
}

/// RFC 6839: the suffix of a type says how it is written.
fn extension_by_kind(content_type: &str) -> &'static str {
    let (main, sub) = content_type.split_once('/').unwrap_or((content_type, ""));
    let suffix = sub.rsplit_once('+').map(|(_, suffix)| suffix);
    match (main, suffix) {
        (_, Some("xml")) => "xml",
        (_, Some("json")) => "json",
        (_, Some("zip")) => "zip",
        (_, Some("gzip")) => "gz",
        ("text" | "message", _) => "txt",
        (_, _) => "bin",
    }
}

#[rustfmt::skip]
const TYPES: [(&str, &str); 148] = [
    ("application/acad", "dwg"),
    ("application/csv", "csv"),
    ("application/dicom", "dcm"),
    ("application/dxf", "dxf"),
    ("application/edifact", "edi"),
    ("application/edi-x12", "edi"),
    ("application/epub+zip", "epub"),
    ("application/excel", "xls"),
    ("application/gzip", "gz"),
    ("application/ics", "ics"),
    ("application/java-archive", "jar"),
    ("application/javascript", "js"),
    ("application/json", "json"),
    ("application/mbox", "mbox"),
    ("application/ms-tnef", "dat"),
    ("application/msexcel", "xls"),
    ("application/mspowerpoint", "ppt"),
    ("application/msword", "doc"),
    ("application/octet-stream", "bin"),
    ("application/oxps", "oxps"),
    ("application/pdf", "pdf"),
    ("application/pgp-encrypted", "asc"),
    ("application/pgp-keys", "asc"),
    ("application/pgp-signature", "asc"),
    ("application/pkcs10", "p10"),
    ("application/pkcs7-mime", "p7m"),
    ("application/pkcs7-signature", "p7s"),
    ("application/pkix-cert", "cer"),
    ("application/pkix-crl", "crl"),
    ("application/postscript", "ps"),
    ("application/rar", "rar"),
    ("application/rtf", "rtf"),
    ("application/sql", "sql"),
    ("application/text", "txt"),
    ("application/vnd.hp-pcl", "pcl"),
    ("application/vnd.ms-access", "mdb"),
    ("application/vnd.ms-cab-compressed", "cab"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.ms-excel.sheet.binary.macroenabled.12", "xlsb"),
    ("application/vnd.ms-excel.sheet.macroenabled.12", "xlsm"),
    ("application/vnd.ms-outlook", "msg"),
    ("application/vnd.ms-powerpoint", "ppt"),
    ("application/vnd.ms-powerpoint.presentation.macroenabled.12", "pptm"),
    ("application/vnd.ms-project", "mpp"),
    ("application/vnd.ms-tnef", "dat"),
    ("application/vnd.ms-word.document.macroenabled.12", "docm"),
    ("application/vnd.ms-xpsdocument", "xps"),
    ("application/vnd.oasis.opendocument.graphics", "odg"),
    ("application/vnd.oasis.opendocument.presentation", "odp"),
    ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    ("application/vnd.oasis.opendocument.text", "odt"),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
    ("application/vnd.openxmlformats-officedocument.presentationml.slideshow", "ppsx"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.template", "xltx"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.template", "dotx"),
    ("application/vnd.rar", "rar"),
    ("application/vnd.visio", "vsd"),
    ("application/x-7z-compressed", "7z"),
    ("application/x-bzip2", "bz2"),
    ("application/x-compressed", "zip"),
    ("application/x-excel", "xls"),
    ("application/x-gzip", "gz"),
    ("application/x-gtar", "tar"),
    ("application/x-iso9660-image", "iso"),
    ("application/x-javascript", "js"),
    ("application/x-msdownload", "exe"),
    ("application/x-msdos-program", "exe"),
    ("application/x-msexcel", "xls"),
    ("application/x-msword", "doc"),
    ("application/x-pdf", "pdf"),
    ("application/x-pkcs12", "p12"),
    ("application/x-pkcs7-mime", "p7m"),
    ("application/x-pkcs7-signature", "p7s"),
    ("application/x-rar-compressed", "rar"),
    ("application/x-rtf", "rtf"),
    ("application/x-sh", "sh"),
    ("application/x-tar", "tar"),
    ("application/x-x509-ca-cert", "crt"),
    ("application/x-xz", "xz"),
    ("application/x-zip-compressed", "zip"),
    ("application/xhtml+xml", "xhtml"),
    ("application/xls", "xls"),
    ("application/xml", "xml"),
    ("application/yaml", "yaml"),
    ("application/zip", "zip"),
    ("application/zstd", "zst"),
    ("audio/aac", "aac"),
    ("audio/amr", "amr"),
    ("audio/basic", "au"),
    ("audio/flac", "flac"),
    ("audio/gsm", "gsm"),
    ("audio/midi", "mid"),
    ("audio/mp3", "mp3"),
    ("audio/mp4", "m4a"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/vnd.wave", "wav"),
    ("audio/wav", "wav"),
    ("audio/wave", "wav"),
    ("audio/webm", "weba"),
    ("audio/x-ms-wma", "wma"),
    ("audio/x-wav", "wav"),
    ("image/avif", "avif"),
    ("image/bmp", "bmp"),
    ("image/gif", "gif"),
    ("image/heic", "heic"),
    ("image/heif", "heif"),
    ("image/jp2", "jp2"),
    ("image/jpeg", "jpg"),
    ("image/jpg", "jpg"),
    ("image/pjpeg", "jpg"),
    ("image/png", "png"),
    ("image/svg+xml", "svg"),
    ("image/tif", "tif"),
    ("image/tiff", "tiff"),
    ("image/vnd.djvu", "djvu"),
    ("image/vnd.dwg", "dwg"),
    ("image/vnd.dxf", "dxf"),
    ("image/vnd.microsoft.icon", "ico"),
    ("image/webp", "webp"),
    ("image/x-emf", "emf"),
    ("image/x-icon", "ico"),
    ("image/x-ms-bmp", "bmp"),
    ("image/x-pcx", "pcx"),
    ("image/x-png", "png"),
    ("image/x-tiff", "tiff"),
    ("image/x-wmf", "wmf"),
    ("message/global", "eml"),
    ("message/rfc822", "eml"),
    ("text/calendar", "ics"),
    ("text/css", "css"),
    ("text/csv", "csv"),
    ("text/directory", "vcf"),
    ("text/html", "html"),
    ("text/markdown", "md"),
    ("text/richtext", "rtx"),
    ("text/rtf", "rtf"),
    ("text/tab-separated-values", "tsv"),
    ("text/vcard", "vcf"),
    ("text/x-vcard", "vcf"),
    ("text/xml", "xml"),
    ("video/mp4", "mp4"),
    ("video/mpeg", "mpg"),
    ("video/quicktime", "mov"),
    ("video/x-ms-wmv", "wmv"),
    ("video/x-msvideo", "avi"),
];
