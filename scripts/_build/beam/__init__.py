"""Running builders that use Apache Beam, with the same bytes on each of Beam's runners."""
