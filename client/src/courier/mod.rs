//! The courier holds the connection: it runs the client machine over a socket, with a home
//! behind it.
