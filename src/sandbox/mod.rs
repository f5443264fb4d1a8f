//! A stand-in for Entra and Graph on loopback.
