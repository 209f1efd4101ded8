"""The FastAPI sample, and a request to it."""

from fastapi import FastAPI
from given import KEY

from millpond.compat.logiscout_logger import init, get_logger, asgiConfiguration, PROD

app = FastAPI()

init(api_token=KEY, service_name="my-fastapi-app", env=PROD)
app.add_middleware(asgiConfiguration)

logger = get_logger("api")


@app.get("/users/{user_id}")
async def get_user(user_id: int):
    logger.info("Fetching user", user_id=user_id)
    return {"user_id": user_id}


async def main():
    import httpx

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://app") as client:
        assert (await client.get("/users/7")).json() == {"user_id": 7}


if __name__ == "__main__":
    import asyncio

    asyncio.run(main())
