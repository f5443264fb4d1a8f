//! How a user signs in: at a page that the client opens, or with the code of a device.

pub(crate) mod authorize;
pub(crate) mod device;
pub(crate) mod pages;
pub(crate) mod waiting;
