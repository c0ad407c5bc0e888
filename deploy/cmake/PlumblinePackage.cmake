# The Debian package (deploy/package calls CPack); filled by the service's files.
