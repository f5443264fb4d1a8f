//! Arguments and names of files that need not be UTF-8.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// The argument with these bytes.
pub fn from_bytes(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}
