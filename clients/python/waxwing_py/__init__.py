"""An independent client for the Waxwing protocol, written from PROTOCOL.md alone."""
