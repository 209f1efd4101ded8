from given import ADDRESS, KEY, report

import asyncio
import threading

from millpond.compat.logtide_sdk import AsyncLogTideClient, LogTideClient, ClientOptions

client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY))
heard = threading.Event()
lines = []

def handle_log(log):
    lines.append(f"[{log['time']}] {log['level']}: {log['message']}")
    heard.set()

stop = client.stream(
    on_log=handle_log,
    on_error=lambda e: print(f"Stream error: {e}"),
    filters={'service': 'api-gateway', 'level': 'error'},
)

# Until the connection is there, nothing is heard.
while not heard.wait(0.1):
    client.error('api-gateway', 'failed')
    client.flush()

# ... later, to stop:
stop()
client.close()
sync_line = lines[0]


async def main():
    heard.clear()
    async with AsyncLogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY)) as client:
        task = asyncio.create_task(client.stream(on_log=handle_log))
        while not heard.is_set():
            await client.warn('other', 'async')
            await client.flush()
            await asyncio.sleep(0.1)
        # ... later:
        task.cancel()

asyncio.run(main())
report([sync_line.split('] ')[1], lines[-1].split('] ')[1]])
