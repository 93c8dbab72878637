"""Makes the JSON Web Token with which a GitHub App authenticates, signed with its private key.

GitHub Docs, *Generating a JSON Web Token (JWT) for a GitHub App*: RS256; ``iat`` a minute ago, to allow for
clock skew; ``exp`` at most ten minutes ahead; ``iss`` the App.
"""

_LEEWAY_S = 60
_LASTS_S = 540


def app_jwt(app_id: int, private_key: str, now_s: int) -> str | None:
    r"""Return the token by which the App signs in, or None where the key cannot sign.

    Args:
        app_id: the App's id.
        private_key: RSA, in PEM; in one line, with ``\n`` for the breaks, as environments often hold it, too.
        now_s: seconds since the epoch.
    """
    import jwt  # noqa: PLC0415 - imports cryptography, which most configurations do not need
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415

    pem = private_key if "\n" in private_key else private_key.replace("\\n", "\n")
    claims = {"iat": now_s - _LEEWAY_S, "exp": now_s + _LASTS_S, "iss": str(app_id)}
    try:
        return jwt.encode(claims, pem, algorithm="RS256")
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, AttributeError):
        return None
