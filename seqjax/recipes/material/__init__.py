"""What recipes are about, as networks read and write it: pictures, characters, notes, made-up problems."""
