/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ip.h"

#include "log.h"

#include <openssl/evp.h>
#include <string.h>

/* Made at random once; a change of it would rename every device of everybody. */
const struct uuid uuid_space_l3agent = { { 0x5d, 0x0e, 0x91, 0x3c, 0x7a, 0x42, 0x4b, 0x1f, 0x9c, 0x36, 0xe8, 0x04, 0xb7, 0xd2,
					   0x6f, 0x55 } };

struct uuid uuid_v5(const struct uuid *space, const char *name)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct uuid ret;

	if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) ||
	    !EVP_DigestUpdate(ctx, space->bytes, sizeof space->bytes) ||
	    !EVP_DigestUpdate(ctx, name, strlen(name)) || !EVP_DigestFinal_ex(ctx, digest, NULL))
		fatal("libcrypto cannot compute SHA-1");
	EVP_MD_CTX_free(ctx);
	memcpy(ret.bytes, digest, sizeof ret.bytes);
	ret.bytes[6] = (ret.bytes[6] & 0x0f) | 0x50;	/* version 5 */
	ret.bytes[8] = (ret.bytes[8] & 0x3f) | 0x80;	/* RFC 4122's variant */
	return ret;
}

bool uuid_is_null(const struct uuid *id)
{
	static const struct uuid null;

	return memcmp(id, &null, sizeof null) == 0;
}

struct mac mac_from_uuid(const struct uuid *id)
{
	struct uuid hash = uuid_v5(id, "mac");

	return (struct mac){ { 0xfa, 0x16, 0x3e, hash.bytes[0], hash.bytes[1], hash.bytes[2] } };
}
