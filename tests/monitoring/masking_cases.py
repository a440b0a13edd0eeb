"""What is masked, and what looks like it and is not: for the patterns and for the collector that runs them."""

from __future__ import annotations

import re

from groundwork.monitoring.masking import MASKS

MASKED = (
    ("call 13912345678 now", "call [phone] now"),
    ("13912345678", "[phone]"),
    ("numbers 13912345678,18812345678;15012345678", "numbers [phone],[phone];[phone]"),
    ("mobile=+8613912345678", "mobile=[phone]"),
    ("mobile +86 139 1234 5678", "mobile [phone]"),
    ("mobile 0086-139-1234-5678.", "mobile [phone]."),
    ("mobile 8613912345678", "mobile [phone]"),
    ("GET /users?phone=%2B8613912345678", "GET /users?phone=%2B[phone]"),
    ("电话13912345678，谢谢", "电话13912345678，谢谢".replace("13912345678", "[phone]")),
    ('{"phone":"13912345678","n":1}', '{"phone":"[phone]","n":1}'),
    ("office 010-12345678", "office [phone]"),
    ("office 0755-1234567", "office [phone]"),
    ("call +1 (415) 555-0132", "call [phone]"),
    ("call +442071234567", "call [phone]"),
    ("call +49 30 1234 5678 tomorrow", "call [phone] tomorrow"),
    ("mail to li.hua+test@mail.example.com.cn failed", "mail to [e-mail] failed"),
    ('{"email":"a@example.com"}', '{"email":"[e-mail]"}'),
    ("id 11010519491231002X of", "id [id-number] of"),
    ("id=110105199912310021", "id=[id-number]"),
    ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: Bearer [token]"),
    ("authorization=Basic dXNlcjpwYXNz", "authorization=Basic [token]"),
    ('{"Authorization": "token abc123"}', '{"Authorization": "token [token]"}'),
    ("got bearer abcdefghij0123456789", "got bearer [token]"),
    ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I end", "jwt [token] end"),
    ("connect postgresql://shop:s3cr=t@postgres:5432/shop", "connect postgresql://shop:[password]@postgres:5432/shop"),
    ("redis://:hunter2@cache:6379/0", "redis://:[password]@cache:6379/0"),
    ("password=hunter2 user=li", "password=[secret] user=li"),
    ('{"password": "hunter 2", "user": "li"}', '{"password": "[secret]", "user": "li"}'),
    ("{'db_password': 'hunter2'}", "{'db_password': '[secret]'}"),
    (r'{"body":"{\"password\":\"hunter2\",\"a\":1}"}', r'{"body":"{\"password\":\"[secret]\",\"a\":1}"}'),
    ("POST /login?user=li&access_token=abc&x=1", "POST /login?user=li&access_token=[secret]&x=1"),
    ("OPENAI_API_KEY=sk-abc123", "OPENAI_API_KEY=[secret]"),
    ("X-Api-Key: abc123", "X-Api-Key: [secret]"),
    ("Set-Cookie: session=abc123; Path=/", "Set-Cookie: [secret]; Path=/"),
    ("ALTER USER 'a'@'%' IDENTIFIED BY 'hunter2'", "ALTER USER 'a'@'%' IDENTIFIED BY '[secret]'"),
    ("ALTER ROLE a LOGIN PASSWORD 'hunter2' VALID", "ALTER ROLE a LOGIN PASSWORD '[secret]' VALID"),
)
"""What is written, and what is stored."""

KEPT = (
    '{"time":"2026-11-24T19:20:19+08:00","request_id":"669da220bb3817b4ba5c73d920b60bbc","client":"10.215.19.193"}',
    "request 13912345678901234567890123456789 done",
    "request a1391234567890bcdef13912345678ab",
    "epoch 1795548010, in milliseconds 1795548010123, in nanoseconds 1795548010123456789",
    "uuid 13912345-1391-4391-8139-139123456789",
    "took 0.13912345678 s",
    "2026-11-24 19:19:51.961313+00:00 [info] <0.493.0> accepting AMQP connection 10.214.170.103:52118",
    "2026-11-24T19:19:46.404709Z 0 [System] [MY-015017] [Server] MySQL Server Initialization - start.",
    "24/Nov/2026:19:20:04 +0800",
    "2026-11-24 19:20:04 +1000 23 MB",
    "listening on 0.0.0.0:13306, and [::]:9093",
    "release api-89e7d008-0 follows api-13912345-1",
    "sha256:1391234567813912345678139123456781391234567813912345678139123456",
    "mindpal_1@mindpal connected",
    "image example/api@sha256:abcdef",
    "GET http://gateway:8080/users/7?sort=a@b HTTP/1.1",
    "total_tokens=1500 prompt_tokens: 20 token_type=bearer",
    "password authentication failed for user li",
    "bearer authentication is required",
    "the secret is out: nobody knows it",
    "order 20261124000017, amount 1391234.56",
    "snowflake 179554801012345678",
    "1 + 1 = 2, C++11, +5 points, offset +10:30",
    "celery@worker-1 ready",
)
"""What stays as it is."""


def masked(text: str) -> str:
    """As the collector does it, by the same patterns."""
    for mask in MASKS:
        if mask.asked(text):
            text = re.sub(mask.pattern, re.sub(r"\$(\d)", r"\\g<\1>", mask.instead), text, flags=re.ASCII)
    return text
